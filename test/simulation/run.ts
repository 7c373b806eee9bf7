import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { readCommandLine, type CommandLine } from './options.ts'
import { resultTable, type Row } from './report.ts'
import { drawImage, readTrace, simImage, type ChunkList, type SimImage } from './sim-image.ts'
import { Simulation } from './simulation.ts'

// npm run sim -- --agents 1,16,64 --workload copy,replay --seed 1 (docs/simulator.md)

const commandLine = readCommandLine(process.argv.slice(2))
const image = await imageOf(commandLine)
const heading = {
  SEED: commandLine.lab.seed,
  commit: commitOf(),
  options: commandLine
}
if (!commandLine.json) process.stdout.write(`${headingText()}\n`)
const rows: Row[] = []
for (const workload of commandLine.workloads) {
  for (const agents of commandLine.counts) rows.push(runOne(workload, agents))
}
if (commandLine.json) process.stdout.write(`${JSON.stringify({ ...heading, rows }, null, 2)}\n`)
else process.stdout.write(`${resultTable(rows)}\n`)
process.exitCode = rows.some(({ result }) => result.violationCount > 0) ? 1 : 0

function runOne(workload: 'copy' | 'replay', agents: number): Row {
  const began = performance.now()
  const result = new Simulation({ ...commandLine.lab, workload, agents }, image).run()
  return { workload, agents, result, realMs: performance.now() - began }
}

async function imageOf({ trace, image: path, lab }: CommandLine): Promise<SimImage> {
  const reads = await readTrace(trace)
  if (path === undefined) return simImage(drawImage(reads, lab.seed), reads)
  return simImage(JSON.parse(await readFile(path, 'utf8')) as ChunkList, reads)
}

function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', import.meta.dirname, ...args], { encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain', '--', '../../src') === '' ? '' : ' and changes'
  return `${git('rev-parse', '--short', 'HEAD')}${changed}`
}

function headingText(): string {
  const { lab, trace, image: path = 'drawn' } = commandLine
  const given = Object.entries({ ...lab, ...lab.costs, costs: undefined, trace, image: path })
  const options = given.flatMap(([name, value]) =>
    value === undefined
      ? []
      : [`${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`]
  )
  return `SEED ${heading.SEED}\ncommit ${heading.commit}\n${options.join(' ')}`
}

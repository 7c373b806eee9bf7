import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { readCommandLine, usage, type CommandLine } from './options.ts'
import { messageTable, resultTable, type Row } from './report.ts'
import {
  drawImage,
  readTrace,
  simImage,
  smallImage,
  type ChunkList,
  type SimImage
} from './sim-image.ts'
import { Simulation } from './simulation.ts'

// npm run sim -- --agents 1,16,64 --workload copy,replay --seed 1 (docs/simulator.md)

const commandLine = commandLineOf(process.argv.slice(2))
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
if (commandLine.messages) for (const row of rows) process.stdout.write(`${messageTable(row)}\n`)
process.exitCode = rows.some(({ result }) => result.violationCount > 0) ? 1 : 0

function commandLineOf(args: readonly string[]): CommandLine {
  if (args.includes('--help')) {
    process.stdout.write(usage())
    process.exit(0)
  }
  try {
    return readCommandLine(args)
  } catch (error) {
    process.stderr.write(`sim: ${(error as Error).message}; --help lists the options\n`)
    process.exit(2)
  }
}

function runOne(workload: 'copy' | 'replay', agents: number): Row {
  const began = performance.now()
  const simulation = new Simulation({ ...commandLine.lab, workload, agents }, image)
  const result = simulation.run(commandLine.progress ? progressOf(simulation) : undefined)
  return { workload, agents, result, realMs: performance.now() - began }
}

/** A line each ten seconds of real time: how far virtual time and the machines are. */
function progressOf({ world, agents }: Simulation): () => void {
  let count = 0
  let toldAt = performance.now()
  return () => {
    count += 1
    if (count % 10_000 !== 0 || performance.now() - toldAt < 10_000) return
    toldAt = performance.now()
    const held = agents.map(agent => agent.heldCount).sort((a, b) => a - b)
    const text = `${(world.events.now / 1_000).toFixed(1)} s: ${held[0]} to ${held.at(-1)} items\n`
    process.stderr.write(text)
  }
}

async function imageOf({ trace, image: path, lab }: CommandLine): Promise<SimImage> {
  if (lab.items > 0) return smallImage(lab.items, lab.frameBytes, lab.thinkMs)
  const boot = await readTrace(trace)
  if (path === undefined) return simImage(drawImage(boot, lab.seed), boot)
  return simImage(JSON.parse(await readFile(path, 'utf8')) as ChunkList, boot)
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

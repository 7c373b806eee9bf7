import { resolve } from 'node:path'
import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { runDemo, type DemoResult, type MachineResult } from '../demo/index.ts'
import { checkImageFile } from '../image/index.ts'
import { wholeNumberOf } from './choices.ts'
import { formatBytes, formatTable } from './formats.ts'
import { printEvent, printLine, printNote } from './output.ts'
import { startProgress, type Progress } from './progress.ts'
import { stopSignal, untilStopped } from './stop-signal.ts'

interface DemoCommand {
  readonly image?: string
  readonly agents: string
  readonly dir?: string
  readonly keep?: boolean
  readonly json?: boolean
}

const agentsMax = 64

export function register(program: Command): void {
  program
    .command('demo')
    .description('Show it all on this machine: a seed, agents, and boots from their disks')
    .option('--image <file>', "a raw disk image (default: one made of this machine's files)")
    .option('--agents <n>', 'how many machines to play', '8')
    .option(
      '--dir <dir>',
      'where to put the disks, 400 MB a machine (default: the temporary folder)'
    )
    .option('--keep', 'leave it running at the end, until Ctrl-C')
    .option('--json', 'print one JSON object a line')
    .action(run)
}

async function run(options: DemoCommand): Promise<void> {
  const json = options.json === true
  const steps = stepPrinter(json)
  if (options.image !== undefined) await checkImageFile(options.image)
  const result = await runDemo({
    imagePath: options.image === undefined ? undefined : resolve(options.image),
    agents: wholeNumberOf('--agents', options.agents, 1, agentsMax),
    parentFolder: options.dir,
    signal: stopSignal(),
    ...steps
  }).finally(() => steps.end())
  try {
    if (json) printEvent({ event: 'demo', ...eventOf(result) })
    else for (const line of tableOf(result)) printLine(line)
    if (options.keep === true && !stopSignal().aborted) await keepRunning(result)
    if (!result.isVerified) {
      throw new BootswarmError('ERR_VERIFY_FAILED', 'a disk of the demo differs from its image')
    }
  } finally {
    await result.end()
  }
}

async function keepRunning({ folder, storeDir }: DemoResult): Promise<void> {
  printNote(
    `still running in ${folder}; see 'bootswarm status --store ${storeDir}'; Ctrl-C ends it`
  )
  await untilStopped()
}

function stepPrinter(json: boolean) {
  let label = ''
  let progress: Progress | undefined
  const end = (): void => {
    progress?.end()
    progress = undefined
  }
  return {
    end,
    onStep(step: string): void {
      end()
      if (!json) printNote(`${step} …`)
    },
    onProgress(next: string, done: number, all: number): void {
      if (next !== label) end()
      label = next
      progress ??= startProgress(next, json)
      progress.update(done, all)
    }
  }
}

function eventOf({ machines, image, seedBytesSent, isVerified }: DemoResult) {
  return { machines, storedBytes: image.storedBytes, seedBytesSent, verified: isVerified }
}

function tableOf({ machines, image, seedBytesSent }: DemoResult): string[] {
  const head = ['MACHINE', 'FIRST READ', 'BOOTED', 'COMPLETE', 'FROM SEED', 'FROM PEERS', 'VERDICT']
  const copies = (seedBytesSent / image.storedBytes).toFixed(2)
  return [
    ...formatTable([head, ...machines.map(rowOf)]),
    `the image: ${formatBytes(image.size)}, ${formatBytes(image.storedBytes)} stored; the seed sent ` +
      `${formatBytes(seedBytesSent)}, ${copies} copies for ${machines.length} machines`
  ]
}

function rowOf(result: MachineResult): string[] {
  return [
    result.machine,
    `${result.secondsToFirstRead.toFixed(1)} s`,
    `${result.secondsToBoot.toFixed(1)} s`,
    `${result.secondsToComplete.toFixed(1)} s`,
    formatBytes(result.bytesFromSeed),
    formatBytes(result.bytesFromPeers),
    result.verdict
  ]
}

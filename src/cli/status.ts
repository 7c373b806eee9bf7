import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { BootswarmError, isErrorCode } from '../base/index.ts'
import { askSeed, type MachineStatus, type SeedStatus } from '../control/index.ts'
import { formatBytes, formatTable } from './formats.ts'
import { parseHostPort } from './host-port.ts'
import { printLine, printNote } from './output.ts'
import { stopSignal } from './stop-signal.ts'
import { storeOption } from './store-option.ts'

interface StatusCommand {
  readonly store: string
  readonly seed?: string
  readonly watch?: boolean
  readonly json?: boolean
}

const watchMs = 1_000

export function register(program: Command): void {
  program
    .command('status')
    .description('Show the lab as a running seed sees it')
    .addOption(storeOption('the store of a seed on this host'))
    .option('--seed <url>', 'the http://HOST:PORT of a seed elsewhere')
    .option('--watch', 'show it again every second')
    .option('--json', 'print one JSON object a line')
    .action(async (options: StatusCommand, command: Command) => {
      if (options.seed !== undefined && command.getOptionValueSource('store') === 'cli') {
        throw new BootswarmError('ERR_USAGE', '--store and --seed name two seeds; give one of them')
      }
      const where = options.seed === undefined ? options.store : seedUrl(options.seed)
      // None that answers at first is a failure; later it may only be starting again.
      print(await askSeed(where), options)
      for (let answered = true; options.watch === true && (await again());) {
        const status = await askSeed(where).catch(ignoreNoAnswer)
        if (status !== undefined) print(status, options)
        else if (answered) printNote('the seed does not answer any more; this goes on when it does')
        answered = status !== undefined
      }
    })
}

/** HOST:PORT will do as well; any other text that is no URL is ERR_USAGE. */
function seedUrl(text: string): string {
  if (text.includes('://')) return text
  parseHostPort('--seed', text)
  return `http://${text}`
}

async function again(): Promise<boolean> {
  const signal = stopSignal()
  await sleep(watchMs, undefined, { signal }).catch(() => {
    // Told to stop; the answer below says so.
  })
  return !signal.aborted
}

function ignoreNoAnswer(error: unknown): undefined {
  if (!isErrorCode(error, 'ERR_SEED_NOT_RUNNING')) throw error
}

function print(status: SeedStatus, { json = false, watch = false }: StatusCommand): void {
  if (json) printLine(JSON.stringify(status))
  else show(status, watch)
}

function show({ seed, images, machines }: SeedStatus, clear: boolean): void {
  if (clear && process.stdout.isTTY) process.stdout.write('\x1b[2J\x1b[H')
  const names = images.map(image => `${image.name}:${image.tag}`).join(', ')
  printLine(`seed ${seed.name}, up ${seed.uptimeSeconds} s, sent ${formatBytes(seed.bytesSent)}`)
  printLine(`images: ${names === '' ? 'none' : names}`)
  const rows = machines.map(machine => [
    machine.name,
    machine.state,
    `${Math.floor(machine.present * 100)} %`,
    `${formatBytes(machine.rate)}/s`,
    formatBytes(machine.bytesFromSeed),
    formatBytes(machine.bytesFromPeers),
    verifiedText(machine)
  ])
  if (rows.length === 0) {
    printLine('no machine has joined yet')
    return
  }
  const head = ['MACHINE', 'STATE', 'PRESENT', 'RATE', 'FROM SEED', 'FROM PEERS', 'VERIFIED']
  for (const line of formatTable([head, ...rows])) printLine(line)
}

/** Of the image that the machine runs; what it said of an earlier one is past. */
function verifiedText({ image, completion }: MachineStatus): string {
  if (completion === null || (image !== '' && image !== completion.image)) return ''
  const { verifiedBytes, machineWrittenBytes, seconds } = completion
  const own = machineWrittenBytes === 0 ? '' : `, ${formatBytes(machineWrittenBytes)} its own`
  return `${formatBytes(verifiedBytes)} in ${Math.round(seconds)} s${own}`
}

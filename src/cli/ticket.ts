import type { Command } from 'commander'
import { BootswarmError, machineIdOf } from '../base/index.ts'
import { makeTicket } from '../seed/index.ts'
import { printEvent, printLine } from './output.ts'
import { storeOption } from './store-option.ts'

interface TicketCommand {
  readonly store: string
  readonly ttl: string
  readonly also?: readonly string[]
  readonly machine?: string
  readonly address: boolean
  readonly json?: boolean
}

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const ttlMsMax = 10 * 365 * unitMs.d

export function register(program: Command): void {
  program
    .command('ticket')
    .description('Print a ticket: the one string that lets a machine join the lab')
    .addOption(storeOption('the store of the seed'))
    .option('--ttl <time>', 'how long machines may use it to enrol', '24h')
    .option('--also <multiaddr...>', 'where other seeds of the lab are, each with its /p2p/ id')
    .option('--machine <id>', 'for one boot of one machine: its hardware address or SMBIOS UUID')
    .option('--no-address', 'name no seed: machines look for one on their own network')
    .option('--json', 'print one JSON object a line')
    .action(async (options: TicketCommand) => {
      const expiresMs = Date.now() + parseTtl(options.ttl)
      const machine = options.machine && machineIdOf('--machine', options.machine)
      const { store, also, address } = options
      const ticket = await makeTicket(store, expiresMs, { also, machine, address })
      if (options.json !== true) printLine(ticket)
      else printEvent({ event: 'ticket', ticket, expires: new Date(expiresMs).toISOString() })
    })
}

/** `90s`, `30m`, `24h`, `7d`; ERR_USAGE. */
export function parseTtl(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text)
  const ms = Number(match?.[1]) * unitMs[(match?.[2] ?? 's') as keyof typeof unitMs]
  if (ms > 0 && ms <= ttlMsMax) return ms
  throw new BootswarmError('ERR_USAGE', `--ttl ${text} is not a time such as 90s, 30m, 24h or 7d`)
}

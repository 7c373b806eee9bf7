import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { type RunningProcess, run, start } from './processes.ts'

const program = fileURLToPath(new URL('../../bin/bootswarm', import.meta.url))

/** One line of what `seed` and `agent` print under `--json`; the fields depend on the event. */
export interface ProcessEvent {
  event: string
  [field: string]: unknown
}

export async function importImage(store: string, file: string, name: string): Promise<void> {
  await run(program, ['image', 'import', file, '--name', name, '--store', store, '--json'])
}

export async function startSeed(t: ExecutionContext, store: string): Promise<RunningProcess> {
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  const seed = start(t, 'seed', program, ['seed', '--store', store, ...listen, '--json'])
  await waitForEvent(seed, 'ready', 60_000)
  return seed
}

export async function askTicket(store: string): Promise<string> {
  return (await run(program, ['ticket', '--store', store])).trim()
}

export interface AgentOptions {
  name: string
  ticket: string
  image: string
  disk: string
  nbdSocket: string
}

export function startAgent(t: ExecutionContext, options: AgentOptions): RunningProcess {
  const { name, ticket, image, disk, nbdSocket } = options
  const what = ['--ticket', ticket, '--image', image, '--name', name]
  const where = ['--disk', disk, '--nbd', `unix:${nbdSocket}`]
  return start(t, name, program, ['agent', ...what, ...where, '--json'])
}

export async function waitForEvent(
  process: RunningProcess,
  event: string,
  timeoutMs: number
): Promise<ProcessEvent> {
  return process.waitFor(`event "${event}"`, timeoutMs, output => findEvent(output, event))
}

function findEvent(output: string, event: string): ProcessEvent | undefined {
  // The last piece is a line that is still being written, or empty.
  for (const line of output.split('\n').slice(0, -1)) {
    if (!line.includes(`"${event}"`)) continue
    const parsed = JSON.parse(line) as ProcessEvent
    if (parsed.event === event) return parsed
  }
  return undefined
}

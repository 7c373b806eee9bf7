import { contenders } from './lab/contenders.ts'
import { measure } from './lab/bench.ts'
import { needPrograms } from './lab/commands.ts'
import { removeLeftovers, removeOwn } from './lab/leftovers.ts'
import { parseOptions, usage, type LabOptions } from './lab/options.ts'

// The lab bench; docs/bench-lab.md says what it measures and how.

const options = readOptions()
if (options !== undefined) await main(options)

function readOptions(): LabOptions | undefined {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`${messageOf(error)}\n${usage}`)
    process.exitCode = 2
    return undefined
  }
}

async function main(options: LabOptions): Promise<void> {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)))
  }
  try {
    if (process.getuid?.() !== 0) throw new Error('a lab is made of network namespaces: needs root')
    needPrograms({ ip: 'iproute2', tc: 'iproute2', setpriv: 'util-linux', sysctl: 'procps' })
    for (const name of options.contenders) await contenders[name].check()
    removeLeftovers()
    // Whatever ends the bench, but for SIGKILL, which the next bench makes up for.
    process.on('exit', removeOwn)
    const isWhole = await measure(options, stopping.signal)
    if (!isWhole) process.exitCode = 1
  } catch (error) {
    console.error(`lab: ${messageOf(error)}`)
    process.exitCode = 1
  }
  // A request to a server that was killed may never be answered; nothing is left to wait for.
  process.exit()
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

import type { ExecutionContext } from 'ava'
import { silentLogger, type LogFields, type Logger } from '../../src/base/index.ts'
import {
  parseNbdAddress,
  startNbdServer,
  type NbdAddress,
  type NbdExport,
  type NbdServer,
  type NbdServerOptions
} from '../../src/nbd/index.ts'
import { memoryDevice, type MemoryDevice } from '../helpers/memory-device.ts'
import { temporaryDirectory } from '../helpers/process.ts'

/** A server on a free loopback port with a 1 MiB disk, unless `options` say otherwise. */
export async function testServer(
  t: ExecutionContext,
  options: Partial<NbdServerOptions> = {}
): Promise<NbdServer> {
  const device = memoryDevice(1 << 20)
  const server = await startNbdServer({
    address: parseNbdAddress('127.0.0.1:0'),
    exports: [{ name: 'disk', description: 'a disk', device, readOnly: false }],
    logger: silentLogger,
    ...options
  })
  t.teardown(() => server.close())
  return server
}

/** A unix socket takes little before its writer has to wait, unlike loopback TCP. */
export async function socketAddress(t: ExecutionContext): Promise<NbdAddress> {
  return parseNbdAddress(`unix:${await temporaryDirectory(t)}/nbd.sock`)
}

export interface Logged {
  readonly level: 'debug' | 'info' | 'warn'
  readonly message: string
  readonly fields: LogFields | undefined
}

export function collectingLogger(): Logger & { readonly logged: Logged[] } {
  const logged: Logged[] = []
  const at = (level: Logged['level']) => (message: string, fields?: LogFields) =>
    void logged.push({ level, message, fields })
  return { logged, debug: at('debug'), info: at('info'), warn: at('warn') }
}

/** Looks again and again until something is so; ava's own time-out is the limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** One export, "disk". */
export function exportOf(device: MemoryDevice, readOnly = false): NbdExport[] {
  return [{ name: 'disk', description: '', device, readOnly }]
}

/** Reads below `limit` wait until released; the others are served. */
export function blockReadsBelow(device: MemoryDevice, limit: number): { release: () => void } {
  const gate = Promise.withResolvers<void>()
  device.hooks = {
    before: async (operation, offset) => {
      if (operation === 'read' && offset < limit) await gate.promise
    }
  }
  return { release: () => gate.resolve() }
}

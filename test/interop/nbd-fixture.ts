import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { silentLogger } from '../../src/base/index.ts'
import { parseNbdAddress, startNbdServer, type NbdServer } from '../../src/nbd/index.ts'
import {
  data,
  hole,
  mappedDevice,
  remote,
  written,
  type MappedDevice
} from '../helpers/mapped-device.ts'
import { memoryDevice, type MemoryDevice } from '../helpers/memory-device.ts'
import { runProgram, temporaryDirectory, type Finished } from '../helpers/process.ts'

export interface Served {
  readonly server: NbdServer
  readonly uri: string
  /** What the default export ("disk") holds. */
  readonly device: MemoryDevice
  /** What the read-only export ("image") holds. */
  readonly image: MemoryDevice
  /** The export ("mapped") of a device that can do all that a device may. */
  readonly mapped: MappedDevice
  /** Gone after the test. */
  readonly directory: string
}

const MiB = 1024 * 1024
export const diskBytes = 8 * MiB

/** A server of two exports full of random bytes, on a unix socket or a loopback port. */
export async function serve(t: ExecutionContext, over: 'unix' | 'tcp' = 'unix'): Promise<Served> {
  const directory = await temporaryDirectory(t)
  const device = memoryDevice(randomBytes(diskBytes))
  // Not a whole number of blocks, so that the clients' handling of the end is seen.
  const image = memoryDevice(randomBytes(1024 * 1024 + 512))
  const content = randomBytes(diskBytes).fill(0, MiB, 3 * MiB)
  const mapped = mappedDevice(content, [data(MiB), hole(2 * MiB), remote(MiB), written(4 * MiB)])
  const text = over === 'unix' ? `unix:${join(directory, 'nbd.sock')}` : '127.0.0.1:0'
  const server = await startNbdServer({
    address: parseNbdAddress(text),
    exports: [
      { name: 'disk', description: 'a writable disk', device, readOnly: false },
      { name: 'image', description: 'a read-only image', device: image, readOnly: true },
      { name: 'mapped', description: 'a disk that is known', device: mapped, readOnly: false }
    ],
    logger: silentLogger
  })
  t.teardown(() => server.close())
  return { server, uri: server.uri, device, image, mapped, directory }
}

/** The URI of a named export. */
export function uriOf(server: NbdServer, name: string): string {
  return server.uri.replace(/^(nbd(?:\+unix)?:\/\/[^/?]*)\/?/, `$1/${name}`)
}

/** Runs a client to its end and passes on what it printed; the test fails if the client does. */
export async function succeed(
  t: ExecutionContext,
  file: string,
  ...args: string[]
): Promise<string> {
  const finished = await run(t, file, ...args)
  t.is(finished.code, 0, `${file} ${args.join(' ')}\n${finished.stdout}\n${finished.stderr}`)
  return finished.stdout
}

export function run(t: ExecutionContext, file: string, ...args: string[]): Promise<Finished> {
  // nbdsh starts whatever python3 comes first, and the system's has the bindings.
  return runProgram(t, file, args, { env: { PATH: `/usr/bin:${process.env.PATH ?? ''}` } })
}

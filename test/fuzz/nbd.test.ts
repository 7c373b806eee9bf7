import { once } from 'node:events'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { memoryDevice } from '../helpers/memory-device.ts'
import { mappedDevice, data, hole, remote, written } from '../helpers/mapped-device.ts'
import {
  clientFlagBytes,
  extendedRequestBytesOf,
  infoQueryBytes,
  metaQueryBytes,
  optionBytes,
  PAYLOAD_LEN,
  requestBytesOf
} from '../nbd/client-bytes.ts'
import { RawClient, transmitter } from '../nbd/raw-client.ts'
import { split } from '../nbd/split-bytes.ts'
import { exportOf, testServer, until } from '../nbd/test-server.ts'

// Clients that send anything at all, in pieces of any size, to a server that others use meanwhile. Each
// property has so many seconds; BOOTSWARM_FUZZ_SECONDS gives it more.

const seconds = Number(process.env.BOOTSWARM_FUZZ_SECONDS ?? 5)
const box = {
  numRuns: 1_000_000,
  interruptAfterTimeLimit: seconds * 1000,
  markInterruptAsFailure: false
}
const MiB = 1024 * 1024
/** What nothing refers to any more is let go of first. */
const heldBytesMax = 48 * MiB

const names = fc.constantFrom('', 'disk', 'nope', 'x'.repeat(5000))
const queries = fc.array(fc.constantFrom('base:allocation', 'bootswarm:', 'base:', 'x', ''), {
  maxLength: 4
})
const anyBytes = fc.uint8Array({ maxLength: 200 })

const anyOption = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 0xffff_ffff })),
    fc.oneof(
      anyBytes,
      fc.constant(new Uint8Array()),
      fc
        .tuple(names, fc.array(fc.nat({ max: 9 })))
        .map(([name, infos]) => infoQueryBytes(name, infos)),
      fc.tuple(names, queries).map(([name, asked]) => metaQueryBytes(name, asked))
    )
  )
  .map(([option, bytes]) => optionBytes(option, bytes))

const offsets = fc.oneof(
  fc.nat({ max: MiB + 5000 }).map(BigInt),
  fc.constantFrom(2n ** 63n, 2n ** 64n - 1n, 2n ** 32n)
)
const lengths = fc.oneof(
  fc.nat({ max: 10_000 }),
  fc.constantFrom(0, MiB, 32 * MiB, 32 * MiB + 1, 2 ** 31, 2 ** 32 - 1)
)
const anyRequest = fc
  .record({
    command: fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 0xffff })),
    flags: fc.oneof(fc.constant(0), fc.nat({ max: 63 }), fc.nat({ max: 0xffff })),
    cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    offset: offsets,
    length: lengths,
    payload: fc.uint8Array({ maxLength: 5000 }),
    honest: fc.boolean(),
    extended: fc.boolean()
  })
  .map(({ honest, extended, length, payload, ...request }) => {
    const told = honest ? payload.length : length
    const encode = extended ? extendedRequestBytesOf : requestBytesOf
    return encode({ ...request, payload, length: told })
  })

/** What decent clients open with, so that the rest is met further in. */
const openings = fc.constantFrom(
  Buffer.alloc(0),
  clientFlagBytes(3),
  Buffer.concat([clientFlagBytes(3), optionBytes(7, infoQueryBytes(''))]),
  ...[8, 11].map(style =>
    Buffer.concat([
      clientFlagBytes(3),
      optionBytes(style),
      optionBytes(10, metaQueryBytes('', ['base:allocation', 'bootswarm:presence'])),
      optionBytes(7, infoQueryBytes(''))
    ])
  )
)

function fuzzedDevice() {
  return mappedDevice(MiB, [data(5000), hole(100_000), remote(300_000), written(MiB - 405_000)])
}

async function fuzzedServer(t: ExecutionContext) {
  const exports = [{ name: 'disk', description: 'd', device: fuzzedDevice(), readOnly: false }]
  return testServer(t, { exports })
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test.serial('anything, split anywhere: no crash, no leak, and others are served', async t => {
  t.timeout(seconds * 1000 + 100_000)
  const server = await fuzzedServer(t)
  const decent = await transmitter(t, server.address)
  const before = heldBytes()
  let runs = 0
  await fc.assert(
    fc.asyncProperty(
      openings,
      fc.array(fc.oneof(anyOption, anyRequest, anyBytes), { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (opening, rest, cuts) => {
        runs++
        const client = new RawClient(connect(Number(server.address.split(':')[1]), '127.0.0.1'))
        await once(client.socket, 'connect')
        for (const piece of split(Buffer.concat([opening, ...rest]), cuts)) {
          client.socket.write(piece)
          await new Promise(resolve => setImmediate(resolve))
        }
        client.socket.end()
        await decent.read(0, 512)
        await client.closed()
      }
    ),
    box
  )
  await until(() => server.connections() === 1)
  t.true(runs > 20, `${runs} runs`)
  const grown = heldBytes() - before
  t.true(grown < heldBytesMax, `${Math.round(grown / MiB)} MiB more after ${runs} runs`)
})

type Style = 'simple' | 'structured' | 'extended'

interface Step {
  readonly kind: 'read' | 'write' | 'zeroes'
  readonly offset: number
  readonly length: number
  readonly fill: number
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('read', 'write', 'zeroes'),
    offset: fc.nat({ max: 60_000 }),
    length: fc.integer({ min: 1, max: 9000 }),
    fill: fc.nat({ max: 255 })
  }),
  { maxLength: 15 }
)

/** What a read brought, put together from its chunks. */
async function readReply(
  client: RawClient,
  style: Style,
  { offset, length }: Step
): Promise<Buffer> {
  if (style === 'simple') {
    const { error } = await client.reply()
    if (error !== 0) throw new Error(`error ${error}`)
    return client.receive(length)
  }
  const bytes = Buffer.alloc(length, 0xaa)
  for (;;) {
    const chunk = await client.chunk(style === 'extended')
    const at = Number(chunk.data.readBigUInt64BE(0)) - offset
    if (chunk.type === 1) chunk.data.copy(bytes, at, 8)
    else if (chunk.type === 2) bytes.fill(0, at, at + chunk.data.readUInt32BE(8))
    else throw new Error(`chunk of type ${chunk.type}`)
    if (chunk.done) return bytes
  }
}

async function writeReply(client: RawClient, style: Style): Promise<void> {
  const failed =
    style === 'extended'
      ? (await client.chunk(true)).type !== 0
      : (await client.reply()).error !== 0
  if (failed) throw new Error('a write failed')
}

for (const style of ['simple', 'structured', 'extended'] as const) {
  test.serial(`any history, split anywhere, reads as memory would: ${style} replies`, async t => {
    t.timeout(seconds * 1000 + 100_000)
    const options = style === 'simple' ? [] : [optionBytes(style === 'structured' ? 8 : 11)]
    await fc.assert(
      fc.asyncProperty(steps, fc.array(fc.nat(), { maxLength: 8 }), async (history, cuts) => {
        const server = await testServer(t, { exports: exportOf(memoryDevice(70_000)) })
        const client = await transmitter(t, server.address, '', ...options)
        const model = Buffer.alloc(70_000)
        const encode = style === 'extended' ? extendedRequestBytesOf : requestBytesOf
        for (const step of history) {
          const { kind, offset, length, fill } = step
          const flags = style === 'extended' && kind === 'write' ? PAYLOAD_LEN : 0
          const payload = kind === 'write' ? Buffer.alloc(length, fill) : undefined
          const command = { read: 0, write: 1, zeroes: 6 }[kind]
          const request = encode({ command, flags, offset, length, payload })
          for (const piece of split(request, cuts)) client.socket.write(piece)
          if (kind === 'read') {
            const read = await readReply(client, style, step)
            if (!read.equals(model.subarray(offset, offset + length))) throw new Error('differs')
          } else {
            model.fill(kind === 'write' ? fill : 0, offset, offset + length)
            await writeReply(client, style)
          }
        }
        client.socket.destroy()
        await server.close()
      }),
      box
    )
    t.pass()
  })
}

import test from 'ava'
import fc from 'fast-check'
import { ByteQueue } from '../../src/nbd/byte-queue.ts'
import { Handshake, type HandshakeStep } from '../../src/nbd/handshake.ts'
import { nbdLimits } from '../../src/nbd/nbd-limits.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { clientFlagBytes, infoQueryBytes, optionBytes } from './client-bytes.ts'
import { split } from './split-bytes.ts'

const disk = { name: 'disk', description: 'a disk', device: memoryDevice(8192), readOnly: false }
const image = { name: 'image', description: '', device: memoryDevice(4096), readOnly: true }
const limits = nbdLimits()

/** Runs a whole conversation, to the step after which bytes are no longer the handshake's. */
function haggle(...pieces: readonly Uint8Array[]): HandshakeStep[] {
  const handshake = new Handshake([disk, image], limits)
  const queue = new ByteQueue()
  const steps: HandshakeStep[] = []
  for (const piece of pieces) {
    queue.push(Buffer.from(piece))
    for (;;) {
      const step = handshake.next(queue)
      if (step === undefined) break
      steps.push(step)
      if (step.kind !== 'reply') return steps
    }
  }
  return steps
}

interface Reply {
  readonly option: number
  readonly reply: number
  readonly data: string
}

function repliesOf(step: HandshakeStep | undefined): Reply[] {
  if (step === undefined || step.kind === 'violation') return []
  const replies: Reply[] = []
  let rest = step.bytes
  while (rest.length > 0) {
    const length = rest.readUInt32BE(16)
    replies.push({
      option: rest.readUInt32BE(8),
      reply: rest.readUInt32BE(12),
      data: rest.toString('hex', 20, 20 + length)
    })
    rest = rest.subarray(20 + length)
  }
  return replies
}

const fixed = clientFlagBytes(3)
const ACK = 1
const [UNSUP, INVALID, UNKNOWN] = [0x80000001, 0x80000003, 0x80000006]

test('the greeting offers fixed newstyle and no zeroes', t => {
  const greeting = new Handshake([disk], limits).greeting()
  t.is(greeting.toString('latin1', 0, 16), 'NBDMAGICIHAVEOPT')
  t.is(greeting.readUInt16BE(16), 3)
})

test('GO: size and flags, then ACK, then transmission', t => {
  const [step] = haggle(fixed, optionBytes(7, infoQueryBytes('image')))
  t.is(step?.kind === 'transmission' ? step.target : undefined, image)
  t.deepEqual(repliesOf(step), [
    { option: 7, reply: 3, data: '00000000000000001000010f' },
    { option: 7, reply: ACK, data: '' }
  ])
})

test('INFO: each kind once when asked for, whatever else is asked, and the handshake goes on', t => {
  const query = infoQueryBytes('', [3, 1, 2, 99, 3, 1])
  const steps = haggle(fixed, optionBytes(6, query), optionBytes(7, infoQueryBytes('disk')))
  t.deepEqual(repliesOf(steps[0]), [
    { option: 6, reply: 3, data: '00000000000000002000010d' },
    { option: 6, reply: 3, data: `0001${Buffer.from('disk').toString('hex')}` },
    { option: 6, reply: 3, data: `0002${Buffer.from('a disk').toString('hex')}` },
    { option: 6, reply: 3, data: '0003000000010000100002000000' },
    { option: 6, reply: ACK, data: '' }
  ])
  t.is(steps[1]?.kind, 'transmission')
})

test('EXPORT_NAME: padded for a client that did not ask for less', t => {
  const [padded] = haggle(clientFlagBytes(1), optionBytes(1, Buffer.from('disk')))
  t.is(padded?.kind, 'transmission')
  t.is(padded?.kind === 'transmission' ? padded.bytes.length : 0, 134)
  const [short] = haggle(fixed, optionBytes(1))
  t.is(short?.kind === 'transmission' ? short.bytes.toString('hex') : '', '0000000000002000010d')
  t.is(short?.kind === 'transmission' ? short.target : undefined, disk)
})

test('EXPORT_NAME: an unknown name can only be answered by closing', t => {
  t.is(haggle(fixed, optionBytes(1, Buffer.from('nope')))[0]?.kind, 'violation')
  t.is(haggle(fixed, optionBytes(1, Buffer.alloc(5000)))[0]?.kind, 'violation')
})

test('LIST: every export with its description', t => {
  const [step] = haggle(fixed, optionBytes(3))
  t.deepEqual(repliesOf(step), [
    { option: 3, reply: 2, data: `00000004${Buffer.from('diska disk').toString('hex')}` },
    { option: 3, reply: 2, data: `00000005${Buffer.from('image').toString('hex')}` },
    { option: 3, reply: ACK, data: '' }
  ])
})

test('ABORT: acknowledged, then closed', t => {
  const [step] = haggle(fixed, optionBytes(2))
  t.is(step?.kind, 'goodbye')
  t.deepEqual(repliesOf(step), [{ option: 2, reply: ACK, data: '' }])
})

test('what is malformed, unknown or not served is refused, and the handshake goes on', t => {
  const cases: [Uint8Array, number][] = [
    [optionBytes(3, Buffer.from('x')), INVALID],
    [optionBytes(6, Buffer.alloc(3)), INVALID],
    [optionBytes(7, Buffer.alloc(100, 0xff)), INVALID],
    [optionBytes(7, infoQueryBytes('nope')), UNKNOWN],
    [optionBytes(5), UNSUP],
    [optionBytes(8), UNSUP],
    [optionBytes(10, Buffer.alloc(65536)), UNSUP],
    [optionBytes(0xffffffff), UNSUP]
  ]
  const steps = haggle(fixed, ...cases.map(([bytes]) => bytes), optionBytes(7, infoQueryBytes('')))
  cases.forEach(([, error], index) => t.is(repliesOf(steps[index])[0]?.reply, error))
  t.is(steps.at(-1)?.kind, 'transmission')
})

test('who breaks the rules is dropped', t => {
  const kinds = (...pieces: Uint8Array[]): string | undefined => haggle(...pieces).at(-1)?.kind
  t.is(kinds(clientFlagBytes(4)), 'violation')
  t.is(kinds(clientFlagBytes(0x80000003)), 'violation')
  t.is(kinds(fixed, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')), 'violation')
  t.is(kinds(clientFlagBytes(2), optionBytes(7, infoQueryBytes(''))), 'violation')
  const header = optionBytes(3).fill(0xff, 12, 16)
  t.is(kinds(fixed, header), 'violation', 'an option of 4 GiB is not waited for')
})

test('an option flood is dropped', t => {
  const flood = Array.from({ length: limits.nbdOptionsMax + 1 }, () => optionBytes(3))
  const steps = haggle(fixed, ...flood)
  t.is(steps.length, limits.nbdOptionsMax + 1)
  t.is(steps.at(-1)?.kind, 'violation')
})

const someOption = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 0xffff_ffff })),
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('', 'disk', 'image', 'nope').map(name => infoQueryBytes(name, [1, 3]))
    )
  )
  .map(([option, data]) => optionBytes(option, data))

test('however the bytes are split, the conversation is the same', t => {
  fc.assert(
    fc.property(fc.array(someOption, { maxLength: 8 }), fc.array(fc.nat()), (sent, cuts) => {
      const bytes = Buffer.concat([fixed, ...sent])
      t.deepEqual(haggle(...split(bytes, cuts)), haggle(bytes))
    }),
    { numRuns: 60 }
  )
})

test('arbitrary bytes never throw', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat()), (bytes, cuts) => {
      haggle(...split(bytes, cuts))
      haggle(...split(Buffer.concat([fixed, Buffer.from('IHAVEOPT'), bytes]), cuts))
    })
  )
  t.pass()
})

import test from 'ava'
import fc from 'fast-check'
import { ByteQueue } from '../../src/nbd/byte-queue.ts'
import { Handshake, type HandshakeStep } from '../../src/nbd/handshake.ts'
import { nbdLimits } from '../../src/nbd/nbd-limits.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { clientFlagBytes, infoQueryBytes, metaQueryBytes, optionBytes } from './client-bytes.ts'
import { split } from './split-bytes.ts'

const disk = { name: 'disk', description: 'a disk', device: memoryDevice(8192), readOnly: false }
const image = { name: 'image', description: '', device: memoryDevice(4096), readOnly: true }
const limits = nbdLimits()

/** Runs a whole conversation, to the step after which bytes are no longer the handshake's. */
function haggle(...pieces: readonly Uint8Array[]): HandshakeStep[] {
  const handshake = new Handshake(() => [disk, image], limits)
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
  const greeting = new Handshake(() => [disk], limits).greeting()
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
    { option: 6, reply: 3, data: '00000000000000002000014d' },
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
  t.is(short?.kind === 'transmission' ? short.bytes.toString('hex') : '', '0000000000002000014d')
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
    [optionBytes(8, Buffer.alloc(1)), INVALID],
    [optionBytes(11, Buffer.alloc(1)), INVALID],
    [optionBytes(10, metaQueryBytes('', ['base:allocation'])), INVALID],
    [optionBytes(9, Buffer.alloc(65536)), INVALID],
    [optionBytes(4, Buffer.alloc(65536)), UNSUP],
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

const EXT_HEADER_REQD = 0x8000000a
const META = 4

function metaReplies(step: HandshakeStep | undefined): string[] {
  return repliesOf(step)
    .filter(({ reply }) => reply === META)
    .map(({ data }) => `${data.slice(0, 8)} ${Buffer.from(data.slice(8), 'hex').toString()}`)
}

test('STRUCTURED_REPLY and EXTENDED_HEADERS: the last word counts, and there is no way back', t => {
  const style = (...asked: number[]): string | undefined => {
    const go = optionBytes(7, infoQueryBytes(''))
    const last = haggle(fixed, ...asked.map(option => optionBytes(option)), go).at(-1)
    return last?.kind === 'transmission' ? last.terms.style : undefined
  }
  t.is(style(), 'simple')
  t.is(style(8), 'structured')
  t.is(style(11), 'extended')
  t.is(style(8, 11), 'extended')
  t.is(repliesOf(haggle(fixed, optionBytes(11), optionBytes(8))[1])[0]?.reply, EXT_HEADER_REQD)
  t.is(style(11, 8), 'extended')
  t.is(haggle(fixed, optionBytes(11), optionBytes(1)).at(-1)?.kind, 'violation')
})

test('LIST_META_CONTEXT: all, one namespace, one context, or what nobody knows', t => {
  const list = (...queries: string[]): string[] =>
    metaReplies(haggle(fixed, optionBytes(8), optionBytes(9, metaQueryBytes('disk', queries)))[1])
  t.deepEqual(list(), ['00000000 base:allocation'])
  t.deepEqual(list('base:'), ['00000000 base:allocation'])
  t.deepEqual(list('base:allocation', 'x-unknown:'), ['00000000 base:allocation'])
  t.deepEqual(list('base:other', 'qemu:', 'nonsense'), [])
})

test('SET_META_CONTEXT: counts for its export only, and the last one replaces the others', t => {
  const set = (name: string, ...queries: string[]) => optionBytes(10, metaQueryBytes(name, queries))
  const chosen = (...sent: Uint8Array[]): string[] => {
    const last = haggle(fixed, optionBytes(8), ...sent).at(-1)
    return last?.kind === 'transmission' ? last.terms.contexts.map(({ name }) => name) : ['none']
  }
  const go = optionBytes(7, infoQueryBytes('disk'))
  t.deepEqual(chosen(set('disk', 'base:allocation'), go), ['base:allocation'])
  t.deepEqual(chosen(set('', 'base:allocation'), go), ['base:allocation'])
  t.deepEqual(chosen(set('image', 'base:allocation'), go), [])
  t.deepEqual(chosen(set('disk', 'base:'), go), [])
  t.deepEqual(chosen(set('disk', 'base:allocation'), set('disk'), go), [])
  t.deepEqual(chosen(set('disk', 'base:allocation'), set('nope', 'base:allocation'), go), [])
})

test('where TLS is required nothing else is answered, and after it all is asked anew', t => {
  const TLS_REQD = 0x80000005
  const queue = new ByteQueue()
  const handshake = new Handshake(() => [disk], limits, 'required')
  const next = (bytes: Uint8Array): HandshakeStep | undefined => {
    queue.push(Buffer.from(bytes))
    return handshake.next(queue)
  }
  next(fixed)
  for (const option of [3, 6, 7, 8, 9, 10, 11, 99]) {
    t.is(repliesOf(next(optionBytes(option)))[0]?.reply, TLS_REQD, String(option))
  }
  t.is(repliesOf(next(optionBytes(5, Buffer.alloc(1))))[0]?.reply, INVALID)
  t.is(next(optionBytes(5))?.kind, 'secure')
  t.is(repliesOf(next(optionBytes(5)))[0]?.reply, INVALID)
  t.is(next(optionBytes(7, infoQueryBytes('')))?.kind, 'transmission')
})

test('EXPORT_NAME without the TLS that is required, and bytes slipped in before it, end it', t => {
  const kindOf = (...sent: Uint8Array[]): string | undefined => {
    const queue = new ByteQueue()
    queue.push(Buffer.concat([fixed, ...sent]))
    return new Handshake(() => [disk], limits, 'required').next(queue)?.kind
  }
  t.is(kindOf(optionBytes(1)), 'violation')
  t.is(kindOf(optionBytes(5), optionBytes(8)), 'violation')
  t.is(kindOf(optionBytes(2)), 'goodbye')
})

test('a closing server answers ERR_SHUTDOWN to all but ABORT', t => {
  const SHUTDOWN = 0x80000007
  const queue = new ByteQueue()
  const handshake = new Handshake(() => [disk], limits)
  handshake.stop()
  queue.push(Buffer.concat([fixed, optionBytes(7, infoQueryBytes('')), optionBytes(3)]))
  t.is(repliesOf(handshake.next(queue))[0]?.reply, SHUTDOWN)
  t.is(repliesOf(handshake.next(queue))[0]?.reply, SHUTDOWN)
  queue.push(optionBytes(2))
  t.is(handshake.next(queue)?.kind, 'goodbye')
})

const someOption = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 0xffff_ffff })),
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('', 'disk', 'image', 'nope').map(name => infoQueryBytes(name, [1, 3])),
      fc.constantFrom('', 'disk', 'nope').map(name => metaQueryBytes(name, ['base:allocation']))
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

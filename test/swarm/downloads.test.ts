import test from 'ava'
import fc from 'fast-check'
import { isErrorCode, type Frame } from '../../src/base/index.ts'
import { chunkIdOf, encodeFrame, plainFrame } from '../../src/image/index.ts'
import { Downloads } from '../../src/swarm/downloads.ts'
import type { Message } from '../../src/swarm/wire.ts'
import { throwsWith } from '../helpers/errors.ts'
import { noise } from '../helpers/image-files.ts'
import { FakeLink } from './fake-link.ts'
import { anyMessage } from './messages.ts'

const plainLengthMax = 65_536
const ask = { insist: false, plainLengthMax }

type Answer = Parameters<Downloads['receive']>[1]

function started() {
  const told: string[] = []
  const arrived: { plain: Uint8Array; frame: Frame }[] = []
  let wake = (): void => {}
  const downloads = new Downloads({
    onAccepted: (_, id, waiting) => told.push(`accepted ${id.slice(0, 4)} ${waiting}`),
    onProgress: (_, id, bytes) => told.push(`progress ${id.slice(0, 4)} ${bytes}`),
    onRefused: (_, id, reason) => told.push(`refused ${id.slice(0, 4)} ${reason}`),
    onRedirected: (_, id, to) => told.push(`redirected ${id.slice(0, 4)} ${to.length}`),
    onArrived(_, id, plain, frame) {
      told.push(`arrived ${id.slice(0, 4)}`)
      arrived.push({ plain, frame })
      wake()
    },
    onCorrupt(_, id, error) {
      told.push(`corrupt ${id.slice(0, 4)} ${error.code}`)
      wake()
    }
  })
  const checked = (): Promise<void> =>
    new Promise(resolve => {
      wake = resolve
    })
  return { downloads, told, arrived, checked }
}

const headOf = (request: number, { encoding, plainLength, bytes }: Frame): Answer => ({
  type: 'frame',
  request,
  encoding,
  frameLength: bytes.length,
  plainLength
})

test('a frame that was asked for arrives verified, plain and as it was sent', async t => {
  const text = Buffer.alloc(60_000, 'all machines share the load. ')
  for (const [plain, frame] of [
    [text, await encodeFrame(text)],
    [noise(50_000, 1), plainFrame(noise(50_000, 1))]
  ] as const) {
    const { downloads, told, arrived, checked } = started()
    const link = new FakeLink('a')
    const id = chunkIdOf(plain)
    downloads.request(link.link, id, 'urgent', ask)
    t.deepEqual(link.sent, [{ type: 'want', request: 1, class: 'urgent', insist: false, id }])
    const done = checked()
    downloads.receive(link.link, { type: 'accept', request: 1, waiting: false })
    downloads.receive(link.link, headOf(1, frame))
    for (let at = 0; at < frame.bytes.length; at += 16_384) {
      const bytes = frame.bytes.subarray(at, at + 16_384)
      downloads.receive(link.link, { type: 'segment', request: 1, bytes })
    }
    t.is(downloads.count, 0)
    await done
    t.is(told[0], `accepted ${id.slice(0, 4)} false`)
    t.is(told.at(-1), `arrived ${id.slice(0, 4)}`)
    t.is(Buffer.compare(arrived[0]?.plain ?? Buffer.of(), plain), 0)
    t.is(Buffer.compare(arrived[0]?.frame.bytes ?? Buffer.of(), frame.bytes), 0)
  }
})

test('asking again changes the class of the same request', t => {
  const { downloads } = started()
  const link = new FakeLink('a')
  const id = chunkIdOf(Buffer.from('x'))
  downloads.request(link.link, id, 'background', ask)
  downloads.request(link.link, id, 'urgent', { ...ask, insist: true })
  t.deepEqual(link.sent, [
    { type: 'want', request: 1, class: 'background', insist: false, id },
    { type: 'want', request: 1, class: 'urgent', insist: true, id }
  ])
  t.is(downloads.count, 1)
})

test('request numbers only grow, whatever peer and chunk they are for', t => {
  const { downloads } = started()
  const links = [new FakeLink('a'), new FakeLink('b')]
  for (let n = 0; n < 20; n += 1) {
    const link = links[n % 2] ?? new FakeLink('c')
    downloads.request(link.link, chunkIdOf(Buffer.from(`${n}`)), 'prefetch', ask)
    if (n % 3 === 0) downloads.cancel(link.link, chunkIdOf(Buffer.from(`${n}`)))
  }
  for (const link of links) {
    const numbers = link.sentOf('want').map(({ request }) => request)
    t.deepEqual(
      numbers,
      [...new Set(numbers)].toSorted((a, b) => a - b)
    )
  }
})

test('bytes that are not the chunk are corrupt, whatever is wrong with them', async t => {
  const plain = noise(1000, 1)
  const other = plainFrame(noise(1000, 2))
  const broken: Frame = { encoding: 'zstd', plainLength: 1000, bytes: noise(500, 3) }
  for (const frame of [other, broken]) {
    const { downloads, told, checked } = started()
    const link = new FakeLink('a')
    downloads.request(link.link, chunkIdOf(plain), 'urgent', ask)
    const done = checked()
    downloads.receive(link.link, headOf(1, frame))
    downloads.receive(link.link, { type: 'segment', request: 1, bytes: frame.bytes })
    await done
    t.regex(told.at(-1) ?? '', /^corrupt .* ERR_CHUNK_CORRUPT$/)
    t.is(downloads.count, 0)
  }
})

test('refusals and redirects end a request', t => {
  const { downloads, told } = started()
  const link = new FakeLink('a')
  const ids = [1, 2].map(n => chunkIdOf(Buffer.of(n)))
  for (const id of ids) downloads.request(link.link, id, 'urgent', ask)
  downloads.receive(link.link, { type: 'refuse', request: 1, reason: 'busy' })
  const to = [{ peerId: 'b', addresses: [] }]
  downloads.receive(link.link, { type: 'redirect', request: 2, to })
  t.deepEqual(
    told.map(line => line.replace(/ [0-9a-f]{4} /, ' ')),
    ['refused busy', 'redirected 1']
  )
  t.is(downloads.count, 0)
})

test('a frame that was not asked for, or not like this, breaks the protocol', t => {
  const frame = (fields: Partial<Extract<Message, { type: 'frame' }>>): Answer => ({
    type: 'frame',
    request: 1,
    encoding: 'plain',
    frameLength: 100,
    plainLength: 100,
    ...fields
  })
  const tooLong = plainLengthMax + 1
  const bad = [
    frame({ request: 2 }),
    frame({ frameLength: tooLong, plainLength: tooLong }),
    frame({ encoding: 'zstd', frameLength: 10, plainLength: tooLong }),
    frame({ encoding: 'zstd', frameLength: 100, plainLength: 100 }),
    frame({ encoding: 'zstd', frameLength: 0xffff_ffff, plainLength: 100 }),
    frame({ frameLength: 99 }),
    frame({ frameLength: 0, plainLength: 0 }),
    frame({ encoding: 'zstd', frameLength: 0 })
  ]
  for (const message of bad) {
    const { downloads } = started()
    const link = new FakeLink('a')
    downloads.request(link.link, chunkIdOf(Buffer.of(1)), 'urgent', ask)
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(link.link, message))
  }
})

test('segments before their frame, beyond it, or of another peer break the protocol', t => {
  const segment = (length: number): Answer => ({
    type: 'segment',
    request: 1,
    bytes: new Uint8Array(length)
  })
  const { downloads } = started()
  const [link, other] = [new FakeLink('a'), new FakeLink('b')]
  downloads.request(link.link, chunkIdOf(Buffer.of(1)), 'urgent', ask)
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(link.link, segment(1)))
  downloads.receive(link.link, headOf(1, plainFrame(new Uint8Array(100))))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => {
    downloads.receive(link.link, headOf(1, plainFrame(new Uint8Array(100))))
  })
  downloads.receive(link.link, segment(60))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(link.link, segment(41)))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(other.link, segment(1)))
})

test('what had been sent when a cancel came is taken, and no more than that', t => {
  const { downloads, told } = started()
  const link = new FakeLink('a')
  const id = chunkIdOf(Buffer.of(1))
  const segment = (length: number): Answer => ({
    type: 'segment',
    request: 1,
    bytes: new Uint8Array(length)
  })
  downloads.request(link.link, id, 'urgent', ask)
  downloads.receive(link.link, headOf(1, plainFrame(new Uint8Array(100))))
  downloads.receive(link.link, segment(50))
  downloads.cancel(link.link, id)
  t.deepEqual(link.sent.at(-1), { type: 'cancel', request: 1 })
  t.is(downloads.count, 0)
  const before = told.length
  downloads.receive(link.link, segment(40))
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(link.link, segment(11)))
  t.is(told.length, before)
})

test('a cancelled request is over with the refusal, or with the last byte of its frame', t => {
  const id = chunkIdOf(Buffer.of(1))
  const frame = plainFrame(new Uint8Array(100))
  const refusal: Answer = { type: 'refuse', request: 1, reason: 'given-up' }
  const rest: Answer = { type: 'segment', request: 1, bytes: frame.bytes }
  for (const endings of [[refusal], [headOf(1, frame), rest]]) {
    const { downloads } = started()
    const link = new FakeLink('a')
    downloads.request(link.link, id, 'urgent', ask)
    downloads.cancel(link.link, id)
    for (const message of endings) downloads.receive(link.link, message)
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(link.link, refusal))
  }
})

test('a chunk that was cancelled can be asked for again at once', async t => {
  const { downloads, told, checked } = started()
  const link = new FakeLink('a')
  const frame = plainFrame(noise(100, 1))
  const id = chunkIdOf(frame.bytes)
  downloads.request(link.link, id, 'background', ask)
  downloads.cancel(link.link, id)
  downloads.request(link.link, id, 'urgent', ask)
  const done = checked()
  downloads.receive(link.link, headOf(1, frame))
  downloads.receive(link.link, { type: 'refuse', request: 1, reason: 'given-up' })
  downloads.receive(link.link, headOf(2, frame))
  downloads.receive(link.link, { type: 'segment', request: 2, bytes: frame.bytes })
  await done
  t.deepEqual(
    told.filter(line => !line.startsWith('progress')),
    [`arrived ${id.slice(0, 4)}`]
  )
})

test('nothing is expected of a link that has gone, and others go on', t => {
  const { downloads } = started()
  const [link, other] = [new FakeLink('a'), new FakeLink('b')]
  const ids = [1, 2, 3].map(n => chunkIdOf(Buffer.of(n)))
  for (const id of ids) downloads.request(link.link, id, 'urgent', ask)
  downloads.cancel(link.link, ids[0] ?? '')
  downloads.request(other.link, ids[0] ?? '', 'urgent', ask)
  downloads.gone(link.link)
  t.is(downloads.count, 1)
  for (const request of [1, 2]) {
    const refusal: Answer = { type: 'refuse', request, reason: 'busy' }
    throwsWith(t, 'ERR_PEER_PROTOCOL', () => downloads.receive(link.link, refusal))
  }
  t.notThrows(() => {
    downloads.receive(other.link, { type: 'refuse', request: 4, reason: 'busy' })
  })
})

test('whatever a peer answers, it breaks nothing but the protocol', t => {
  const answers = ['accept', 'frame', 'segment', 'refuse', 'redirect']
  const anyAnswer = fc
    .tuple(
      anyMessage.filter((message): message is Answer => answers.includes(message.type)),
      fc.integer({ min: 1, max: 6 })
    )
    .map(([message, request]) => ({ ...message, request }))
  fc.assert(
    fc.property(fc.array(anyAnswer, { maxLength: 12 }), messages => {
      const { downloads } = started()
      const link = new FakeLink('a')
      const ids = [1, 2, 3, 4].map(n => chunkIdOf(Buffer.of(n)))
      for (const id of ids) downloads.request(link.link, id, 'background', ask)
      downloads.cancel(link.link, ids[0] ?? '')
      try {
        for (const message of messages) downloads.receive(link.link, message)
        return true
      } catch (error) {
        return isErrorCode(error, 'ERR_PEER_PROTOCOL')
      }
    }),
    { numRuns: 300 }
  )
  t.pass()
})

test('what has come and is being checked is not asked for once more, and afterwards may be', async t => {
  const plain = noise(5_000, 7)
  const frame = plainFrame(plain)
  const { downloads, checked } = started()
  const link = new FakeLink('a')
  const id = chunkIdOf(plain)
  downloads.request(link.link, id, 'prefetch', ask)
  const done = checked()
  downloads.receive(link.link, headOf(1, frame))
  downloads.receive(link.link, { type: 'segment', request: 1, bytes: frame.bytes })
  const wants = (): number => link.sent.filter(({ type }) => type === 'want').length
  downloads.request(link.link, id, 'urgent', ask)
  t.is(wants(), 1)
  await done
  await new Promise(resolve => setImmediate(resolve))
  downloads.request(link.link, id, 'urgent', ask)
  t.is(wants(), 2)
})

test('a chunk that was not what it was called may be asked for at once, by who is told so', async t => {
  const id = chunkIdOf(noise(5_000, 8))
  const frame = plainFrame(noise(5_000, 9))
  const link = new FakeLink('a')
  const told = Promise.withResolvers<void>()
  const downloads: Downloads = new Downloads({
    onAccepted: () => {},
    onProgress: () => {},
    onRefused: () => {},
    onRedirected: () => {},
    onArrived: () => {},
    onCorrupt: () => {
      downloads.request(link.link, id, 'urgent', ask)
      told.resolve()
    }
  })
  downloads.request(link.link, id, 'urgent', ask)
  downloads.receive(link.link, headOf(1, frame))
  downloads.receive(link.link, { type: 'segment', request: 1, bytes: frame.bytes })
  await told.promise
  t.is(link.sent.filter(({ type }) => type === 'want').length, 2)
})

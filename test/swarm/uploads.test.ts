import test from 'ava'
import { limits, silentLogger, type Frame, type ServeDecision } from '../../src/base/index.ts'
import type { Message } from '../../src/swarm/wire.ts'
import { throwsWith } from '../helpers/errors.ts'
import { noise } from '../helpers/image-files.ts'
import { FakeLink } from './fake-link.ts'

import { frameOf, id, outline, segmentBytes, settled, started } from './sender.ts'

test('a frame goes out whole, in segments, after its head', async t => {
  const frame: Frame = { encoding: 'zstd', plainLength: 99_999, bytes: noise(40_000, 3) }
  const { uploads, want, calls } = started({ load: async () => frame })
  const link = new FakeLink('a')
  want(link, 1)
  t.deepEqual(link.sent, [{ type: 'accept', request: 1, waiting: false }])
  await settled()
  const head = { encoding: 'zstd', frameLength: 40_000, plainLength: 99_999 } as const
  t.deepEqual(link.sent[1], { type: 'frame', request: 1, ...head })
  const segments = link.sentOf('segment').map(({ bytes }) => bytes)
  t.deepEqual(
    segments.map(({ length }) => length),
    [segmentBytes, segmentBytes, 40_000 - 2 * segmentBytes]
  )
  t.is(Buffer.compare(Buffer.concat(segments), frame.bytes), 0)
  t.is(uploads.bytesSent, 40_000)
  t.deepEqual(calls, ['sent a'])
})

test('urgent goes before prefetch before background, in the middle of a frame too', async t => {
  const { uploads, want } = started({ load: async () => frameOf(3) })
  const link = new FakeLink('a')
  link.room = 1
  want(link, 1, 'background')
  await settled()
  want(link, 2, 'background')
  want(link, 3, 'prefetch')
  want(link, 4, 'urgent')
  await settled()
  for (let step = 0; step < 12; step += 1) {
    link.room = 1
    uploads.writable()
    await settled()
  }
  const order = link.sentOf('segment').map(({ request }) => request)
  // What is ready may pass while more urgent frames are still being loaded, but not more of it.
  t.is(order.length, 12)
  t.true(order.lastIndexOf(4) < order.indexOf(3), order.join(' '))
  t.true(order.lastIndexOf(3) < order.lastIndexOf(1), order.join(' '))
  t.true(order.lastIndexOf(3) < order.indexOf(2), order.join(' '))
})

test('urgent goes before background across links', async t => {
  const { uploads, want } = started({ load: async () => frameOf(4) })
  const order: string[] = []
  const [slow, quick] = [new FakeLink('slow'), new FakeLink('quick')]
  for (const link of [slow, quick]) {
    link.room = 1
    link.sendSegment = () => {
      link.room -= 1
      order.push(link.peerId)
    }
    want(link, 1, link === quick ? 'urgent' : 'background')
  }
  await settled()
  t.is(order.splice(0).length, 2)
  slow.room = 3
  quick.room = 3
  uploads.writable()
  await settled()
  t.deepEqual(order, ['quick', 'quick', 'quick', 'slow', 'slow', 'slow'])
})

test('within a class the links take turns', async t => {
  const { uploads, want } = started({ load: async () => frameOf(4) })
  const order: string[] = []
  const links = ['a', 'b', 'c'].map(peer => new FakeLink(peer))
  for (const link of links) {
    link.room = 1
    link.sendSegment = () => {
      link.room -= 1
      order.push(link.peerId)
    }
    want(link, 1)
  }
  await settled()
  t.is(order.splice(0).length, 3)
  for (const link of links) link.room = 3
  uploads.writable()
  await settled()
  t.is(order.length, 9)
  for (const round of [0, 3, 6]) t.is(new Set(order.slice(round, round + 3)).size, 3, order.join())
})

test('a change of class takes effect on what is under way', async t => {
  const { uploads, want, wants } = started({ load: async () => frameOf(2) })
  const link = new FakeLink('a')
  link.room = 1
  want(link, 1, 'background')
  want(link, 2, 'background')
  await settled()
  want(link, 2, 'urgent')
  link.room = 9
  uploads.writable()
  await settled()
  t.deepEqual(
    link.sentOf('segment').map(({ request }) => request),
    [1, 2, 2, 1]
  )
  t.is(wants.length, 2)
})

test('a change of class that comes after the answer is not a request', async t => {
  const decisions: ServeDecision[] = [
    { kind: 'send' },
    { kind: 'refuse', reason: 'busy' },
    { kind: 'redirect', to: ['b'] }
  ]
  const { want, wants } = started({ decide: () => decisions[wants.length - 1] ?? { kind: 'send' } })
  const link = new FakeLink('a')
  for (const request of [1, 2, 3]) want(link, request)
  await settled()
  const answered = outline(link)
  for (const request of [1, 2, 3]) want(link, request, 'urgent')
  await settled()
  t.deepEqual(outline(link), answered)
  t.is(wants.length, 3)
  want(new FakeLink('b'), 1)
  want(link, 4)
  t.is(wants.length, 5)
})

test('a cancelled frame stops, and the peer is told', async t => {
  const { uploads, want, calls } = started({ load: async () => frameOf(4) })
  const link = new FakeLink('a')
  link.room = 1
  want(link, 1)
  await settled()
  uploads.cancel(link.link, 1)
  link.room = 9
  uploads.writable()
  await settled()
  t.deepEqual(outline(link), ['accept 1', 'frame 1', 'segment 1', 'refuse 1'])
  t.deepEqual(calls, ['dropped a'])
  uploads.cancel(link.link, 1)
  uploads.cancel(link.link, 77)
  t.is(link.sent.length, 4)
})

test('who waits for a promised chunk gets it when it is here', async t => {
  const { uploads, want } = started({ holding: 'promised', decide: () => ({ kind: 'wait' }) })
  const [first, second] = [new FakeLink('a'), new FakeLink('b')]
  want(first, 1, 'urgent', id(7))
  want(second, 1, 'background', id(7))
  want(second, 2, 'background', id(8))
  await settled()
  t.deepEqual(first.sent, [{ type: 'accept', request: 1, waiting: true }])
  uploads.arrived(id(7))
  await settled()
  t.deepEqual(outline(first), ['accept 1', 'frame 1', 'segment 1'])
  t.deepEqual(outline(second), ['accept 1', 'accept 2', 'frame 1', 'segment 1'])
})

test('who waits for a chunk that will not come is turned away', async t => {
  const { uploads, want, calls } = started({ decide: () => ({ kind: 'wait' }) })
  const link = new FakeLink('a')
  want(link, 1, 'urgent', id(7))
  want(link, 2, 'urgent', id(8))
  uploads.abandoned(id(7))
  t.deepEqual(link.sentOf('refuse'), [{ type: 'refuse', request: 1, reason: 'given-up' }])
  t.deepEqual(calls, ['dropped a'])
  uploads.arrived(id(7))
  await settled()
  t.deepEqual(link.sentOf('segment'), [])
})

test('a chunk that cannot be loaded is refused, and the others go on', async t => {
  const { want, calls } = started({
    async load(chunk) {
      if (chunk === id(1)) throw new Error('the disk failed')
      return chunk === id(2) ? undefined : frameOf(1)
    }
  })
  const link = new FakeLink('a')
  for (const request of [1, 2, 3]) want(link, request)
  await settled()
  t.deepEqual(
    link.sentOf('refuse').map(({ request, reason }) => [request, reason]),
    [
      [1, 'not-held'],
      [2, 'not-held']
    ]
  )
  t.deepEqual(
    link.sentOf('segment').map(({ request }) => request),
    [3]
  )
  t.deepEqual(calls.toSorted(), ['dropped a', 'dropped a', 'sent a'])
})

test('a chunk that cannot be loaded is said once, however often it is asked for', async t => {
  const said: unknown[] = []
  const warn = (message: string, fields?: unknown): number => said.push([message, fields])
  const { want } = started({
    load: () => Promise.reject(new Error('the disk failed')),
    logger: { ...silentLogger, warn: (...words) => void warn(...words) }
  })
  const link = new FakeLink('a')
  for (const request of [1, 2]) want(link, request)
  await settled()
  want(new FakeLink('b'), 1)
  await settled()
  const message = 'a chunk could not be loaded for a peer'
  const reason = 'Error: the disk failed'
  t.deepEqual(said, [
    [message, { id: id(1), reason }],
    [message, { id: id(2), reason }]
  ])
})

test('a redirect names addresses; without any the peer is refused', t => {
  const targets = [['b', 'unknown'], ['unknown']]
  const { want, wants } = started({
    decide: () => ({ kind: 'redirect', to: targets[wants.length - 1] ?? [] })
  })
  const link = new FakeLink('a')
  want(link, 1)
  want(link, 2)
  const to = [{ peerId: 'b', addresses: ['/ip4/10.0.0.1/tcp/1'] }]
  t.deepEqual(link.sent, [
    { type: 'redirect', request: 1, to },
    { type: 'refuse', request: 2, reason: 'busy' }
  ] satisfies Message[])
})

test('the requests of one peer are bounded, those of another are not affected', t => {
  const { want, uploads } = started({ decide: () => ({ kind: 'wait' }) })
  const [greedy, other] = [new FakeLink('a'), new FakeLink('b')]
  for (let request = 1; request <= limits.requestsPerPeerMax; request += 1) want(greedy, request)
  throwsWith(t, 'ERR_PEER_PROTOCOL', () => want(greedy, 1_000))
  t.notThrows(() => want(other, 1))
  uploads.cancel(greedy.link, 1)
  t.notThrows(() => want(greedy, 1_001))
})

test('frames are loaded ahead only a few at a time', async t => {
  const { uploads, want, loads } = started({ load: async () => frameOf(2) })
  const link = new FakeLink('a')
  link.room = 0
  for (let request = 1; request <= 100; request += 1) want(link, request)
  await settled()
  t.is(loads.length, 0)
  link.room = 1
  uploads.writable()
  await settled()
  t.true(loads.length >= 1 && loads.length <= limits.framesAheadMax + 1, `${loads.length} loaded`)
  link.room = Infinity
  uploads.writable()
  await settled()
  t.is(link.sentOf('segment').length, 200)
})

test('nothing goes to a link that has gone, though its frame is being loaded', async t => {
  const loading = Promise.withResolvers<Frame | undefined>()
  const { uploads, want, calls } = started({ load: () => loading.promise })
  const link = new FakeLink('a')
  want(link, 1)
  uploads.gone(link.link)
  loading.resolve(frameOf(1))
  await settled()
  t.deepEqual(outline(link), ['accept 1'])
  t.deepEqual(calls, ['gone a'])
})

test('the event loop has its turn while much is sent', async t => {
  const { want } = started({ load: async () => frameOf(256) })
  const link = new FakeLink('a')
  const done = (): boolean => link.sentOf('segment').length === 256
  want(link, 1)
  let turns = 0
  while (!done() && turns < 1_000) {
    turns += 1
    await new Promise(resolve => setImmediate(resolve))
  }
  t.true(done())
  t.true(turns > 8, `${turns} turns`)
})

import test from 'ava'
import { type Gift, type RequestClass, type SendPolicy } from '../../src/base/index.ts'
import { FakeLink } from './fake-link.ts'

import { frameOf, id, outline, settled, started } from './sender.ts'

function more(request: number, requestClass: RequestClass = 'background') {
  return { type: 'more', request, class: requestClass, imageId: id(0) } as const
}

test('one that takes any chunk is told which, and gets it; when none is left, that', async t => {
  const gifts: Gift[] = [{ kind: 'chunk', id: id(7) }, { kind: 'later' }, { kind: 'none' }]
  const { uploads, loads } = started({ next: () => gifts.shift() ?? { kind: 'none' } })
  const a = new FakeLink('a')
  uploads.more(a.link, more(1))
  await settled()
  t.deepEqual(loads, [id(7)])
  t.deepEqual(outline(a), ['give 1', 'frame 1', 'segment 1'])
  t.deepEqual(a.sentOf('give')[0]?.id, id(7))
  uploads.more(a.link, more(2))
  await settled()
  t.is(a.sent.length, 3, 'it waits')
  uploads.writable()
  t.deepEqual(a.sentOf('refuse'), [{ type: 'refuse', request: 2, reason: 'not-held' }])
})

test('takers wait behind what somebody waits for, and can change their mind', async t => {
  const { uploads, want } = started({ next: () => ({ kind: 'chunk', id: id(7) }) })
  const [a, b] = [new FakeLink('a'), new FakeLink('b')]
  b.room = 0
  want(b, 1, 'urgent')
  uploads.more(a.link, more(1))
  await settled()
  t.deepEqual(a.sent, [], 'an urgent frame is still to go')
  uploads.cancel(a.link, 1)
  b.room = Infinity
  uploads.writable()
  await settled()
  t.deepEqual(outline(b), ['accept 1', 'frame 1', 'segment 1'])
  t.deepEqual(a.sent, [])
})

test('who takes one for a boot that is foreseen waits for nobody', async t => {
  const { uploads, want } = started({ next: () => ({ kind: 'chunk', id: id(7) }) })
  const [a, b] = [new FakeLink('a'), new FakeLink('b')]
  b.room = 0
  want(b, 1, 'urgent')
  uploads.more(a.link, more(1, 'prefetch'))
  await settled()
  t.deepEqual(outline(a), ['give 1', 'frame 1', 'segment 1'])
})

test('who asks by name for what it was just given gets it once, as soon as it asks for', async t => {
  const { uploads, want, wants } = started({ next: () => ({ kind: 'chunk', id: id(7) }) })
  const [a, b] = [new FakeLink('a'), new FakeLink('b')]
  uploads.more(a.link, more(1))
  want(b, 1, 'prefetch')
  want(a, 2, 'urgent', id(7))
  await settled()
  t.deepEqual(
    wants.map(({ peer }) => peer),
    ['b']
  )
  t.deepEqual(outline(a), ['give 1', 'frame 1', 'segment 1'])
  uploads.cancel(a.link, 2)
  t.deepEqual(outline(a).length, 3, 'the peer keeps what was given')
})

test('who asks one that only seeks the chunk is answered when somebody has promised it', t => {
  const awaited: string[] = []
  const { uploads, want } = started({
    holding: 'sought',
    decide: () => ({ kind: 'wait' }),
    awaited: (_chunk, requestClass) => awaited.push(requestClass)
  })
  const a = new FakeLink('a')
  want(a, 1, 'prefetch')
  t.deepEqual(a.sent, [], 'two that promise each other the same would wait for ever')
  want(a, 1, 'urgent')
  t.deepEqual(awaited, ['prefetch', 'urgent'])
  uploads.promised(id(1))
  uploads.promised(id(1))
  t.deepEqual(a.sent, [{ type: 'accept', request: 1, waiting: true }])
})

test('what nobody waits for begins when the window has room, and its place is given back', async t => {
  const places = new Set<number>()
  const window: SendPolicy = {
    mayBegin: (_peer, request) => places.has(request) || places.size === 0,
    yields: () => false,
    began: (_peer, request) => places.add(request),
    urgent: () => {},
    moved: () => {},
    ended: (_peer, request) => places.delete(request),
    gone: () => places.clear()
  }
  const { uploads, want } = started({
    window,
    load: async chunk => (chunk === id(4) ? undefined : frameOf(2))
  })
  const a = new FakeLink('a')
  want(a, 1)
  want(a, 2)
  want(a, 3, 'urgent')
  await settled()
  t.deepEqual(
    a.sentOf('frame').map(({ request }) => request),
    [1, 3],
    'urgent ones ask no window'
  )
  t.is(a.sentOf('segment').filter(({ request }) => request === 1).length, 2)
  uploads.got(a.link, 1)
  await settled()
  t.is(a.sentOf('frame').at(-1)?.request, 2)
  uploads.cancel(a.link, 2)
  t.is(places.size, 0)
  want(a, 4)
  await settled()
  t.deepEqual(a.sentOf('refuse').at(-1), { type: 'refuse', request: 4, reason: 'not-held' })
  t.is(places.size, 0)
})

test('a node that yields refuses what nobody waits for', t => {
  const never = (): void => {}
  const window: SendPolicy = {
    mayBegin: () => true,
    yields: () => true,
    began: never,
    urgent: never,
    moved: never,
    ended: never,
    gone: never
  }
  const { want } = started({ window })
  const a = new FakeLink('a')
  want(a, 1, 'background')
  want(a, 2, 'urgent')
  t.deepEqual(outline(a), ['refuse 1', 'accept 2'])
})

import test from 'ava'
import type { RequestClass } from '../../src/base/index.ts'
import { SendQueue, type Upload } from '../../src/swarm/send-queue.ts'
import { FakeLink } from './fake-link.ts'

function upload(peer: FakeLink, request: number, wanted: RequestClass): Upload {
  const id = 'ab'.repeat(32)
  const { link } = peer
  const state = 'ready'
  const whole = { isGift: false, isAccepted: true, frame: undefined, offset: 0 }
  return { link, request, id, class: wanted, state, ...whole }
}

const firstOfLine = (line: Iterable<Upload>): Upload | undefined => [...line][0]

test('a sooner class comes first, and within a class the links take turns', t => {
  const queue = new SendQueue()
  const [a, b] = [new FakeLink('a'), new FakeLink('b')]
  for (const n of [1, 2]) queue.add(upload(a, n, 'background'))
  queue.add(upload(b, 3, 'background'))
  const urgent = upload(b, 4, 'urgent')
  queue.add(urgent)
  t.true(queue.hasUrgent)
  t.is(queue.next(firstOfLine)?.request, 4)
  queue.delete(urgent)
  t.false(queue.hasUrgent)
  t.deepEqual(
    [1, 2, 3].map(() => queue.next(firstOfLine)?.link.peerId),
    ['a', 'b', 'a']
  )
})

test('a link that is full has no turn; an urgent frame for it is looked at all the same', t => {
  const queue = new SendQueue()
  const [full, free] = [new FakeLink('full'), new FakeLink('free')]
  full.room = 0
  queue.add(upload(full, 1, 'urgent'))
  queue.add(upload(full, 2, 'background'))
  queue.add(upload(free, 3, 'background'))
  const seen: number[] = []
  const next = queue.next(line => {
    const first = firstOfLine(line)
    if (first !== undefined) seen.push(first.request)
    return first
  })
  t.is(next?.request, 3)
  t.deepEqual(seen, [1, 3], 'it can be loaded meanwhile')
})

test('nothing is left of what was deleted', t => {
  const queue = new SendQueue()
  const only = upload(new FakeLink('a'), 1, 'prefetch')
  queue.add(only)
  queue.delete(only)
  queue.delete(only)
  t.is(queue.next(firstOfLine), undefined)
})

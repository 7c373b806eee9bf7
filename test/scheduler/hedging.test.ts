import test, { type ExecutionContext } from 'ava'
import { tickMs } from '../../src/scheduler/fetching.ts'
import { Fetcher, inWords, range, requestsIn } from './fetcher.ts'

const frameBytes = 64 * 1024

/** A fetcher for which reads from all peers took 20 ms until now, and which has heard of nobody being slow. */
function practised(options = {}): Fetcher {
  const fetcher = new Fetcher(400, options)
  fetcher.join('a', 'b', 'c')
  for (const item of range(0, 60)) {
    fetcher.want([item], 'urgent')
    const peer = fetcher.out.get(item) ?? ''
    fetcher.now += 10
    fetcher.apply({ type: 'accepted', peer, item, waiting: false })
    fetcher.now += 10
    fetcher.apply({ type: 'progress', peer, item, bytes: frameBytes })
    fetcher.apply({ type: 'settled', item })
  }
  return fetcher
}

/** Somebody waits for item 100 and its peer says nothing but that it has it. */
function late(t: ExecutionContext, fetcher: Fetcher, waiting = false): string {
  fetcher.want([100], 'urgent')
  const peer = fetcher.out.get(100) ?? ''
  fetcher.apply({ type: 'accepted', peer, item: 100, waiting })
  t.not(peer, '')
  return peer
}

test('a read that is later than usual is asked of a second peer', t => {
  const fetcher = practised()
  const first = late(t, fetcher)
  const asked = requestsIn(fetcher.pass(3 * tickMs, first))
  t.is(asked.length, 1)
  t.not(asked[0]?.peer, first)
  t.like(asked[0], { item: 100, class: 'urgent', insist: true })
})

test('whichever comes first counts, and the other is cancelled', t => {
  for (const winner of ['first', 'second']) {
    const fetcher = practised()
    const first = late(t, fetcher)
    const [asked] = requestsIn(fetcher.pass(3 * tickMs, first))
    const second = asked?.peer ?? ''
    const peer = winner === 'first' ? first : second
    fetcher.apply({ type: 'progress', peer, item: 100, bytes: frameBytes })
    const words = inWords(fetcher.apply({ type: 'settled', item: 100 }))
    t.true(words.includes(`cancel 100 of ${first}`))
    t.true(words.includes(`cancel 100 of ${second}`))
    t.deepEqual(requestsIn(fetcher.pass(10 * tickMs)), [])
  }
})

test('who waits in a chain leaves that to the one before it, until the line could have brought two dozen frames of what a profile names', t => {
  const without = practised()
  t.deepEqual(requestsIn(without.pass(10 * tickMs, late(t, without, true))), [])
  const fetcher = practised()
  fetcher.apply({ type: 'foreseen', items: [100] })
  fetcher.join('seed')
  const first = late(t, fetcher, true)
  // The line was seen to bring a frame in 20 ms.
  t.deepEqual(requestsIn(fetcher.pass(4 * tickMs, first)), [])
  const [asked] = requestsIn(fetcher.pass(3 * tickMs, first))
  t.like(asked, { item: 100, class: 'urgent', insist: true })
  t.true(['a', 'b', 'c'].includes(asked?.peer ?? '') && asked?.peer !== first, asked?.peer)
})

test('who waits in a chain asks no seed besides', t => {
  const fetcher = practised()
  fetcher.apply({ type: 'foreseen', items: [100] })
  const first = late(t, fetcher, true)
  fetcher.join('seed')
  for (const peer of ['a', 'b', 'c']) {
    if (peer !== first) fetcher.apply({ type: 'has-not', peer, items: [100] })
  }
  t.deepEqual(requestsIn(fetcher.pass(10 * tickMs, first)), [])
})

test('when the first peer goes, the second request is the one that counts', t => {
  const fetcher = practised()
  const first = late(t, fetcher)
  const [asked] = requestsIn(fetcher.pass(3 * tickMs, first))
  const actions = fetcher.apply({ type: 'gone', peer: first })
  t.deepEqual(requestsIn(actions), [], 'nobody else is asked')
  t.false(inWords(actions).includes('abandoned 100'))
  t.is(fetcher.standing(100), 'sought')
  t.true(
    inWords(fetcher.apply({ type: 'settled', item: 100 })).includes(
      `cancel 100 of ${asked?.peer ?? ''}`
    )
  )
})

test('when the second peer refuses, the first is waited for', t => {
  const fetcher = practised()
  const first = late(t, fetcher)
  const [asked] = requestsIn(fetcher.pass(3 * tickMs, first))
  const peer = asked?.peer ?? ''
  const words = inWords(fetcher.apply({ type: 'refused', peer, item: 100, reason: 'busy' }))
  t.false(words.includes('abandoned 100'))
  t.is(fetcher.standing(100), 'promised')
})

test('what nobody waits for any more is asked of nobody twice', t => {
  const fetcher = practised()
  const first = late(t, fetcher)
  const [asked] = requestsIn(fetcher.pass(3 * tickMs, first))
  t.true(inWords(fetcher.want([100])).includes(`cancel 100 of ${asked?.peer ?? ''}`))
})

test('without hedging, and before anything is known of what is usual, nobody is asked twice', t => {
  for (const fetcher of [practised({ mechanisms: { hedging: false } }), new Fetcher(400)]) {
    fetcher.join('a', 'b', 'c')
    const first = late(t, fetcher)
    t.deepEqual(requestsIn(fetcher.pass(5 * tickMs, first)), [])
  }
})

test('what comes twice is a small share of what comes', t => {
  const fetcher = practised()
  let twice = 0
  let received = 60 * frameBytes
  for (const item of range(100, 400)) {
    fetcher.want([item], 'urgent')
    const first = fetcher.out.get(item) ?? ''
    fetcher.apply({ type: 'accepted', peer: first, item, waiting: false })
    const [second] = requestsIn(fetcher.pass(2 * tickMs, first))
    // Both send all of it, as badly as it can go.
    for (const peer of [first, second?.peer]) {
      if (peer === undefined) continue
      fetcher.apply({ type: 'progress', peer, item, bytes: frameBytes })
      received += frameBytes
    }
    if (second !== undefined) twice += frameBytes
    fetcher.apply({ type: 'settled', item })
  }
  t.true(twice > 0)
  t.true(twice / received < 0.05, String(twice / received))
})

import test from 'ava'
import { Fetcher, range, requestsIn } from './fetcher.ts'

const KiB = 1024
const frameBytes = 64 * KiB

/** A machine that has just read item 0, with eight peers that have everything. */
function reader(mechanisms = {}): Fetcher {
  const fetcher = new Fetcher(500, { mechanisms })
  const peers = range(0, 8).map(n => `a${n}`)
  fetcher.join(...peers)
  fetcher.want([0], 'urgent')
  fetcher.apply({ type: 'settled', item: 0 })
  fetcher.pass(400, ...peers)
  return fetcher
}

test('between two reads the background takes no more than 128 KiB of the line at a time', t => {
  const fetcher = reader()
  t.deepEqual(requestsIn(fetcher.want(range(1, 500))).length, 2)
  const [first] = fetcher.out.keys()
  fetcher.apply({ type: 'settled', item: first ?? -1 })
  t.is(fetcher.out.size, 2, 'the next comes when one is here')
})

test('what has come of a frame is not on its way any more', t => {
  const fetcher = reader()
  fetcher.want(range(1, 500))
  const [[item, peer] = [-1, '']] = fetcher.out
  fetcher.apply({ type: 'progress', peer, item, bytes: frameBytes })
  fetcher.pass(100, peer)
  t.is(fetcher.out.size, 3)
})

test('the next frame is asked for when there is room for half of it', t => {
  const fetcher = reader()
  fetcher.want(range(1, 500))
  const [[item, peer] = [-1, '']] = fetcher.out
  fetcher.apply({ type: 'progress', peer, item, bytes: frameBytes / 4 })
  fetcher.pass(100, peer)
  t.is(fetcher.out.size, 2)
  fetcher.apply({ type: 'progress', peer, item, bytes: frameBytes / 2 })
  fetcher.pass(100, peer)
  t.is(fetcher.out.size, 3)
})

test('what waits in a chain is not on its way yet', t => {
  const fetcher = reader()
  fetcher.want(range(1, 500))
  for (const [item, peer] of [...fetcher.out]) {
    fetcher.apply({ type: 'accepted', peer, item, waiting: true })
  }
  fetcher.pass(100)
  t.is(fetcher.out.size, 4)
})

test('a quick line has room for more', t => {
  const fetcher = reader()
  // 64 KiB a millisecond: 25 ms of it are 25 frames.
  for (const item of range(1, 300)) {
    fetcher.now += 1
    fetcher.want([item], 'urgent')
    const peer = fetcher.out.get(item) ?? ''
    fetcher.apply({ type: 'progress', peer, item, bytes: frameBytes })
    fetcher.apply({ type: 'settled', item })
  }
  fetcher.want(range(300, 500))
  fetcher.pass(400, 'a0')
  t.is(fetcher.out.size, 16)
})

test('when nobody has read for a while, sixteen are out', t => {
  const fetcher = reader()
  fetcher.pass(2_000, 'a0')
  fetcher.want(range(1, 500))
  t.is(fetcher.out.size, 16)
  t.is(requestsIn(reader({ receiveBudget: false }).want(range(1, 500))).length, 16)
})

test('a machine that reads all the time gets its background all the same', t => {
  const fetcher = new Fetcher(500)
  const peers = range(0, 4).map(n => `a${n}`)
  fetcher.join(...peers)
  fetcher.want(range(100, 500))
  const got = new Set<number>()
  for (let step = 0; step < 100; step += 1) {
    fetcher.want([step], 'urgent')
    for (const item of [...fetcher.out.keys()]) {
      if (item >= 100) got.add(item)
      fetcher.apply({ type: 'settled', item })
    }
    fetcher.pass(200, ...peers)
  }
  // Twenty seconds, a chunk a second.
  t.true(got.size >= 18, `${got.size}`)
})

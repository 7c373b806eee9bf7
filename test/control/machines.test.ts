import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import { Machines } from '../../src/control/machines.ts'

const report = {
  state: 'streaming',
  image: 'bafy',
  present: 0.5,
  rate: 1000,
  bytesFromSeed: 10,
  bytesFromPeers: 20
}

function machinesAt(): { machines: Machines; pass: (ms: number) => void } {
  let now = 1_000
  return {
    machines: new Machines({ now: () => now }),
    pass: ms => {
      now += ms
    }
  }
}

test('a machine is listed from when it joins, as it last reported', t => {
  const { machines, pass } = machinesAt()
  machines.joined('a', 'pc-1')
  const joined = { name: 'pc-1', peerId: 'a', state: 'connected', image: '', present: 0, rate: 0 }
  const bytes = { bytesFromSeed: 0, bytesFromPeers: 0 }
  t.deepEqual(machines.list(), [{ ...joined, ...bytes, seenSecondsAgo: 0, completion: null }])
  machines.reported('a', report)
  pass(4_400)
  t.deepEqual(machines.list(), [
    { name: 'pc-1', peerId: 'a', ...report, seenSecondsAgo: 4, completion: null }
  ])
})

test('a machine that has left keeps its progress and has no rate', t => {
  const { machines, pass } = machinesAt()
  machines.joined('a', 'pc-1')
  machines.reported('a', report)
  pass(3_000)
  machines.left('a')
  pass(2_000)
  const [gone] = machines.list()
  t.like(gone, { state: 'gone', rate: 0, present: 0.5, bytesFromPeers: 20, seenSecondsAgo: 2 })
  machines.joined('a', 'pc-2')
  t.like(machines.list()[0], { name: 'pc-2', state: 'connected', present: 0.5, seenSecondsAgo: 0 })
  t.is(machines.list().length, 1)
})

test('who has not joined is not listed, whatever it reports', t => {
  const { machines } = machinesAt()
  machines.reported('a', report)
  machines.left('a')
  t.deepEqual(machines.list(), [])
})

const completion = {
  image: 'bafy',
  verifiedBytes: 100,
  machineWrittenBytes: 20,
  unverifiableBytes: 3,
  seconds: 34.5,
  bytesFromSeed: 40,
  bytesFromPeers: 30,
  bytesLocal: 10,
  receivedMs: 5
}

test('what a machine reported of its complete disk stays, whatever it does afterwards', t => {
  const { machines } = machinesAt()
  machines.completed('a', completion)
  t.deepEqual(machines.list(), [], 'who has not joined is not listed')
  machines.joined('a', 'pc-1')
  machines.completed('a', completion)
  machines.reported('a', report)
  machines.left('a')
  machines.joined('a', 'pc-1')
  t.deepEqual(machines.list()[0]?.completion, completion)
})

test('a machine that reported in an earlier run of the seed is gone until it joins', t => {
  const { machines } = machinesAt()
  machines.recall('a', 'pc-1', completion, 60_000)
  t.like(machines.list()[0], { state: 'gone', image: 'bafy', present: 1, bytesFromPeers: 30 })
  t.like(machines.list()[0], { name: 'pc-1', seenSecondsAgo: 60, completion })
  machines.joined('a', 'pc-2')
  t.like(machines.list()[0], { name: 'pc-2', state: 'connected', seenSecondsAgo: 0, completion })
})

test('the machine that has been gone longest makes room, never one that is here', t => {
  const { machines, pass } = machinesAt()
  for (let n = 0; n < limits.machinesMax; n += 1) machines.joined(`p${n}`, 'pc')
  for (const peer of ['p7', 'p3', 'p9']) {
    pass(1_000)
    machines.reported(peer, report)
    machines.left(peer)
  }
  const known = (): Set<string> => new Set(machines.list().map(({ peerId }) => peerId))
  machines.joined('new-1', 'pc')
  t.false(known().has('p7'))
  t.true(known().has('p3'))
  machines.joined('new-2', 'pc')
  t.false(known().has('p3'))
  t.true(known().has('p9'))
  t.is(known().size, limits.machinesMax)
})

test('who leaves without ever having had an image is forgotten', t => {
  const { machines } = machinesAt()
  machines.joined('a', 'pc-1')
  machines.left('a')
  t.deepEqual(machines.list(), [])
  machines.joined('a', 'pc-1')
  machines.reported('a', report)
  machines.left('a')
  machines.joined('a', 'pc-1')
  machines.left('a')
  t.like(machines.list()[0], { state: 'gone', image: 'bafy' }, 'it had one once')
})

test('after any events each machine is listed once, gone exactly if it left last', t => {
  const event = fc.tuple(
    fc.constantFrom('joined', 'left', 'reported'),
    fc.constantFrom('a', 'b', 'c')
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), events => {
      const { machines } = machinesAt()
      const here = new Map<string, boolean>()
      const withImage = new Set<string>()
      for (const [type, peer] of events) {
        if (type === 'reported' && here.get(peer) === true) {
          machines.reported(peer, report)
          withImage.add(peer)
        }
        if (type === 'joined') machines.joined(peer, peer)
        if (type === 'left') machines.left(peer)
        if (type === 'left' && !withImage.has(peer)) here.delete(peer)
        if (type === 'joined' || (type === 'left' && here.has(peer))) {
          here.set(peer, type === 'joined')
        }
      }
      const listed = new Map(machines.list().map(({ peerId, state }) => [peerId, state !== 'gone']))
      t.is(machines.list().length, here.size)
      t.deepEqual(
        [...listed].toSorted(([a], [b]) => a.localeCompare(b)),
        [...here].toSorted(([a], [b]) => a.localeCompare(b))
      )
    })
  )
})

test('with which image a disk was complete is remembered until another one goes onto it', t => {
  const { machines } = machinesAt()
  machines.joined('a', 'pc-1')
  machines.reported('a', { ...report, state: 'complete' })
  machines.left('a')
  t.is(machines.list()[0]?.completeWith, 'bafy')
  machines.joined('a', 'pc-1')
  machines.reported('a', { ...report, state: 'verifying' })
  t.is(machines.list()[0]?.completeWith, 'bafy')
  machines.reported('a', { ...report, image: 'bafz' })
  t.is(machines.list()[0]?.completeWith, undefined)
})

import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { Patience } from '../../src/swarm/patience.ts'

test('each dial in vain gives the next twice as long, up to a limit, until the peer answers', t => {
  const patience = new Patience(limits.dialMs)
  const given: number[] = []
  for (let tries = 0; tries < 5; tries += 1) {
    given.push(patience.ms('seed'))
    patience.ended('seed')
  }
  t.deepEqual(given, [5_000, 10_000, 20_000, 40_000, 40_000])
  t.is(patience.ms('another'), limits.dialMs)
  patience.answered('seed')
  t.is(patience.ms('seed'), limits.dialMs)
})

test('work that its time ended gives the next more, other errors do not, success forgets', async t => {
  const patience = new Patience(20)
  const inVain = (signal: AbortSignal): Promise<unknown> =>
    setTimeout(60_000, undefined, { signal })
  await t.throwsAsync(patience.within('seed', inVain), { name: 'AbortError' })
  t.is(patience.ms('seed'), 40)
  await t.throwsAsync(patience.within('seed', () => Promise.reject(new Error('refused'))))
  t.is(patience.ms('seed'), 40)
  t.is(await patience.within('seed', () => Promise.resolve('here')), 'here')
  t.is(patience.ms('seed'), 20)
})

test('of more peers than are remembered, those that were dialled longest ago are forgotten', t => {
  const patience = new Patience(limits.dialMs)
  for (let n = 0; n <= limits.peersKnownMax; n += 1) patience.ended(`peer ${n}`)
  t.is(patience.ms('peer 0'), limits.dialMs)
  t.true(patience.ms('peer 1') > limits.dialMs)
})

import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import test from 'ava'
import { limits } from '../../../src/base/index.ts'
import { HandshakeTurns } from '../../../src/swarm/tls/handshake-turns.ts'
import { until } from '../peers.ts'

const never = new AbortController().signal

test('a few go at a time, and the next when one is done', async t => {
  // No turn ends by itself, however slow the machine.
  const turns = new HandshakeTurns(60_000)
  const begun: number[] = []
  const ends = Array.from({ length: limits.handshakesParallel + 2 }, () =>
    Promise.withResolvers<number>()
  )
  const taken = ends.map(({ promise }, n) =>
    turns.take(() => {
      begun.push(n)
      return promise
    }, never)
  )
  for (let n = 0; n < 5; n += 1) await turnOfTheLoop()
  t.is(begun.length, limits.handshakesParallel)
  ends[0]?.resolve(7)
  t.is(await taken[0], 7)
  await until(() => begun.length > limits.handshakesParallel, 'the next turn')
  for (const [n, end] of ends.entries()) end.resolve(n)
  await Promise.all(taken)
  t.deepEqual(begun, [...ends.keys()], 'in the order of asking')
})

test('who falls silent in the middle does not keep the others waiting', async t => {
  const turns = new HandshakeTurns()
  const silent = Promise.withResolvers<void>()
  for (let n = 0; n < limits.handshakesParallel; n += 1) {
    turns.take(() => silent.promise, never).catch(() => {})
  }
  t.is(await turns.take(() => Promise.resolve(1), never), 1)
  silent.resolve()
})

test('one that fails passes its turn on, and one that gives up waiting never has it', async t => {
  const turns = new HandshakeTurns()
  const failing = Array.from({ length: 2 * limits.handshakesParallel }, () =>
    turns.take(() => Promise.reject(new Error('bad record')), never)
  )
  for (const failed of failing) await t.throwsAsync(failed, { message: 'bad record' })
  const stop = new AbortController()
  const silent = Promise.withResolvers<void>()
  for (let n = 0; n < limits.handshakesParallel; n += 1) {
    turns.take(() => silent.promise, never).catch(() => {})
  }
  const waiting = turns.take(() => Promise.resolve(t.fail()), stop.signal)
  stop.abort()
  await t.throwsAsync(waiting)
  silent.resolve()
})

import test from 'ava'
import { BufferPool } from '../../src/nbd/buffer-pool.ts'

test('gives exactly the length asked for, and the same memory again', t => {
  const pool = new BufferPool(1 << 20)
  const first = pool.take(5000)
  t.is(first.length, 5000)
  pool.giveBack(first)
  const again = pool.take(8000)
  t.is(again.length, 8000)
  t.is(again.buffer, first.buffer)
})

test('what is lent is not lent twice', t => {
  const pool = new BufferPool(1 << 20)
  const first = pool.take(5000)
  pool.giveBack(first)
  t.not(pool.take(5000).buffer, pool.take(5000).buffer)
})

test('it knows its own memory', t => {
  const pool = new BufferPool(1 << 20)
  for (const length of [100, 5000]) {
    t.true(pool.isOwn(pool.take(length).subarray(length / 10)))
    t.false(pool.isOwn(Buffer.alloc(length)))
  }
})

test('memory of others is left alone', t => {
  const pool = new BufferPool(1 << 20)
  const foreign = Buffer.allocUnsafeSlow(8192)
  pool.giveBack(foreign)
  t.not(pool.take(8192).buffer, foreign.buffer)
})

test('keeps no more idle memory than it may', t => {
  const pool = new BufferPool(10_000)
  const kept = pool.take(8192)
  const dropped = pool.take(8192)
  pool.giveBack(kept)
  pool.giveBack(dropped)
  t.is(pool.take(8192).buffer, kept.buffer)
  t.not(pool.take(8192).buffer, dropped.buffer)
})

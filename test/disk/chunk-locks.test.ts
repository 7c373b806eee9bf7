import test from 'ava'
import { ChunkLocks } from '../../src/disk/chunk-locks.ts'

test('shared jobs of a chunk run together, an exclusive one alone and in its turn', async t => {
  const locks = new ChunkLocks()
  const log: string[] = []
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
  const job = (name: string, gate: number) => async () => {
    log.push(`${name} begins`)
    await gates[gate]?.promise
    log.push(`${name} ends`)
  }
  const all = [
    locks.run(1, 'shared', job('a', 0)),
    locks.run(1, 'shared', job('b', 1)),
    locks.run(1, 'exclusive', job('c', 2)),
    locks.run(1, 'shared', job('d', 3)),
    locks.run(2, 'exclusive', job('other', 3))
  ]
  await new Promise(setImmediate)
  t.deepEqual(log, ['a begins', 'b begins', 'other begins'])
  for (const gate of gates) gate.resolve()
  await Promise.all(all)
  t.true(log.indexOf('c begins') > log.indexOf('b ends'))
  t.true(log.indexOf('d begins') > log.indexOf('c ends'))
})

test('a job that fails lets the next one in', async t => {
  const locks = new ChunkLocks()
  const failing = locks.run(1, 'exclusive', () => Promise.reject(new Error('no')))
  const next = locks.run(1, 'exclusive', () => Promise.resolve('in'))
  await t.throwsAsync(failing, { message: 'no' })
  t.is(await next, 'in')
})

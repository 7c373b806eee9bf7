import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import { BlockPool } from '../../src/swarm/block-pool.ts'
import { BlockWriter } from '../../src/swarm/block-writer.ts'

function startWriter(blockBytes: number) {
  const pool = new BlockPool(blockBytes)
  const handed: Buffer[] = []
  const writer = new BlockWriter(pool, (bytes, block) => {
    handed.push(Buffer.from(bytes))
    pool.give(block)
  })
  return { writer, handed }
}

test('what is written in one turn goes out together, at its end', async t => {
  const { writer, handed } = startWriter(64)
  writer.write(Buffer.from('one '))
  writer.write(Buffer.from('turn'))
  t.is(writer.filled, 8)
  t.deepEqual(handed, [])
  await nextTurn()
  t.deepEqual(handed.map(String), ['one turn'])
  t.is(writer.filled, 0)
})

test('a full block goes out at once, and a flush does not wait for the turn', t => {
  const { writer, handed } = startWriter(4)
  writer.write(Buffer.from('123456'))
  t.deepEqual(handed.map(String), ['1234'])
  writer.flush()
  writer.flush()
  t.deepEqual(handed.map(String), ['1234', '56'])
})

test('every byte goes out once and in order, whatever the sizes', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 })), async pieces => {
      const { writer, handed } = startWriter(16)
      for (const piece of pieces) {
        writer.write(piece)
      }
      await nextTurn()
      t.deepEqual(Buffer.concat(handed), Buffer.concat(pieces))
      t.true(handed.every(({ length }) => length > 0 && length <= 16))
    })
  )
})

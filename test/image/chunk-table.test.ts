import test from 'ava'
import fc from 'fast-check'
import { limits } from '../../src/base/index.ts'
import { ChunkTable } from '../../src/image/chunk-table.ts'
import { chunkIdOf, zeroId } from '../../src/image/ids.ts'

const ids = [0, 1, 2, 3, 4].map(n => (n === 0 ? zeroId : chunkIdOf(Buffer.from([n]))))
// The same first word as another id, so that both share a bucket.
const twin = (ids[1] ?? '').slice(0, 8) + (ids[2] ?? '').slice(8)

test('a table agrees with a plain list, set one by one or by page', t => {
  const layout = fc.array(fc.constantFrom(...ids, twin), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(layout, list => {
      const single = new ChunkTable(list.length)
      list.forEach((id, position) => single.setId(position, id))
      const paged = new ChunkTable(list.length)
      paged.setPage(0, single.pageDigests(0))
      for (const table of [single, paged]) {
        t.deepEqual(
          list.map((_, position) => table.idAt(position)),
          list
        )
        for (const id of [...ids, twin]) {
          const positions = list.flatMap((other, at) => (other === id && id !== zeroId ? [at] : []))
          t.deepEqual(table.positionsOf(id), positions)
          t.is(table.includes(id), positions.length > 0)
        }
      }
    })
  )
})

test('pages are told apart, and one that is not here is unknown', t => {
  const last = limits.pageChunksMax + 9
  const table = new ChunkTable(last + 1)
  t.is(table.pageCount, 2)
  t.is(table.idAt(last), undefined)
  table.setId(last, ids[1] ?? '')
  t.false(table.hasPage(0))
  t.true(table.hasPage(1))
  t.is(table.idAt(last), ids[1])
  t.is(table.idAt(last - 1), zeroId)
  t.is(table.pageDigests(0).length, limits.pageChunksMax * 32)
  t.is(table.pageDigests(1).length, 10 * 32)
  t.deepEqual(table.positionsOf(ids[1] ?? ''), [last])
})

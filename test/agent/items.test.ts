import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { Items } from '../../src/agent/items.ts'
import { chunkIdOf } from '../../src/image/index.ts'
import { chunkSize, manyPages, openDisk } from './samples.ts'

const perPage = limits.pageChunksMax

test('items are chunks by position, then pages; the first of what is alike stands for all', t => {
  const { manifest, pages, alike, end } = manyPages()
  const items = new Items(manifest)
  const chunkCount = 2 * perPage + 2
  t.is(items.count, chunkCount + 3)
  const [pageId = '', , endPageId = ''] = manifest.root.pageIds
  t.is(items.idOf(0), undefined, 'its page is not here')
  t.is(items.idOf(chunkCount), pageId)
  t.is(items.idOf(chunkCount + 2), endPageId)
  t.is(items.idOf(items.count), undefined)
  t.deepEqual(items.pagesOf(pageId), [0, 1])
  t.is(items.itemOf(pageId), chunkCount)
  t.is(items.itemOfPage(1), chunkCount)
  t.is(items.itemOfPage(2), chunkCount + 2)

  pages.forEach((page, number) => manifest.addPage(number, page))
  t.is(items.idOf(0), alike[0])
  t.is(items.idOf(5), undefined, 'zeros are not an item that anybody asks for')
  t.is(items.itemOf(alike[7] ?? ''), 7, 'not its copy on the second page')
  t.is(items.itemOf(end[0] ?? ''), 0, 'its first copy is on the first page')
  t.is(items.itemOf(end[1] ?? ''), 2 * perPage + 1)
  t.is(items.itemOf(chunkIdOf(Buffer.from('of another image'))), undefined)
})

test('how long an item may be, and which positions a page lists', t => {
  const { manifest } = manyPages()
  const items = new Items(manifest)
  t.is(items.plainLengthMax(0), chunkSize)
  t.is(items.plainLengthMax(2 * perPage + 1), 512)
  t.is(items.plainLengthMax(2 * perPage + 2), limits.manifestBlockBytesMax)
  t.deepEqual(items.positionsOfPage(1), { first: perPage, end: 2 * perPage })
  t.deepEqual(items.positionsOfPage(2), { first: 2 * perPage, end: 2 * perPage + 2 })
})

test('a real image', async t => {
  const { items, manifest } = await openDisk(t)
  t.is(items.count, 9)
  t.is(items.idOf(4), items.idOf(0))
  t.is(items.itemOf(manifest.chunkIdAt(4) ?? ''), 0)
  t.is(items.itemOf(manifest.root.pageIds[0] ?? ''), 8)
  t.deepEqual(
    Array.from({ length: 9 }, (_, item) => items.idOf(item) !== undefined),
    [true, true, false, false, true, true, false, true, true]
  )
})

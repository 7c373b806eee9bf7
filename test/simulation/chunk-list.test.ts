import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { importBytes, mixedImage } from '../helpers/image-files.ts'
import { chunkListOf } from './chunk-list.ts'
import { simulateLab } from './index.ts'
import { simImage } from './sim-image.ts'

const chunkSize = 16 * 1024

test('the list of a real image is what its store holds, and a lab can run on it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'bootswarm-chunks-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { result, store } = await importBytes(
    join(folder, 'image'),
    mixedImage(chunkSize),
    chunkSize
  )
  const list = await chunkListOf(store, result.imageId)
  t.deepEqual(
    list.chunks.map(([position]) => position),
    [0, 1, 4, 5, 7]
  )
  t.deepEqual(
    list.chunks.map(([, bytes]) => bytes),
    list.chunks.map(([, , id = '']) => store.frames.get(id)?.bytes.length ?? 0)
  )
  const reads = [[0, 3 * chunkSize, 2 * chunkSize]] as const
  const image = simImage(list, { reads })
  // The chunk at 0 comes again at 4.
  t.is(image.itemCount, 4)
  t.deepEqual([...image.bootSet], [0])
  const lab = { machines: 3, mbit: 40, seedMbit: 40, queueMs: 50, cores: 2 }
  const figures = simulateLab({ ...lab, workload: 'copy', chunks: list, trace: { reads } })
  t.is(figures.seedCopies, 1)
  t.is(figures.brokenRules, 0)
  const processorSeconds = 10 * figures.processorSeconds
  const busy = {
    ...lab,
    workload: 'copy',
    chunks: list,
    trace: { reads },
    processorSeconds
  } as const
  const slower = simulateLab(busy)
  t.true(Math.abs(slower.processorSeconds / processorSeconds - 1) < 0.2)
  t.true(slower.seconds > figures.seconds)
})

test('a trace of another image is refused', t => {
  const list = { image: 'one', chunkBytes: chunkSize, chunks: [[0, 1]] as const }
  t.throws(() => simImage(list, { image: 'other', reads: [] }), { message: /trace is of other/ })
})

import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { compareFiles, writePayload } from '../../bench/lab/payload.ts'
import { temporaryDirectory } from '../helpers/process.ts'

test('a payload is as large as it is to be, and a copy of it is told from anything else', async t => {
  const folder = await temporaryDirectory(t)
  const [original, copy, other] = ['original', 'copy', 'other'].map(name => join(folder, name))
  if (original === undefined || copy === undefined || other === undefined) return t.fail()
  await writePayload(original, 2_500_001)
  t.is((await stat(original)).size, 2_500_001)
  const bytes = await readFile(original)
  await writeFile(copy, bytes)
  await t.notThrowsAsync(compareFiles(original, [copy]))
  bytes[1_000_000] = (bytes[1_000_000] ?? 0) ^ 1
  await writeFile(other, bytes)
  await t.throwsAsync(compareFiles(original, [copy, other]), { message: /other/ })
  await t.throwsAsync(compareFiles(original, [join(folder, 'none')]))
})

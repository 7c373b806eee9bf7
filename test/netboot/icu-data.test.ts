import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdCompress } from 'node:zlib'
import test from 'ava'
import { withoutLocales } from '../../src/netboot/icu-data.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'

const whole = readFile(process.execPath)

const asked = `
  const day = new Date(0)
  console.log(JSON.stringify([
    day.toLocaleDateString('en-US', { timeZone: 'Asia/Tokyo', month: 'long' }),
    day.toLocaleString(),
    'bücher'.localeCompare('buche') > 0,
    'é'.normalize('NFD').length,
    new URL('http://bücher.example/').host,
    /\\p{Lu}/u.test('Ä'),
    new TextDecoder('utf-16le').decode(Buffer.from('Ä', 'utf16le')),
    'ß'.toLocaleUpperCase()
  ]))
  console.log(new Intl.DateTimeFormat('de-DE', { month: 'long', timeZone: 'UTC' }).format(day))
`

test('Node without languages does what it did in English and with Unicode', async t => {
  const folder = await temporaryDirectory(t)
  const path = join(folder, 'node')
  const smaller = withoutLocales(await whole, 'node')
  t.is(smaller.length, (await whole).length)
  await writeFile(path, smaller)
  await chmod(path, 0o755)
  // As the launcher of an agent archive has it.
  const answers = async (node: string, locale: string): Promise<string[]> => {
    const said = await runProgram(t, '/usr/bin/env', [`LC_ALL=${locale}`, node, '-e', asked])
    t.is(said.code, 0, said.stderr)
    return said.stdout.split('\n')
  }
  const [before, german] = await answers(process.execPath, 'C')
  const [after, gone] = await answers(path, 'C')
  t.is(after, before)
  t.is(german, 'Januar')
  t.not(gone, 'Januar')
  // Dates look otherwise in other locales, and nothing fails.
  t.is((await answers(path, 'ja_JP.UTF-8')).length, 3)
})

test('what was left out compresses to nothing', async t => {
  const packed = async (bytes: Uint8Array): Promise<number> =>
    (await promisify(zstdCompress)(bytes)).length
  const saved = (await packed(await whole)) - (await packed(withoutLocales(await whole, 'node')))
  t.true(saved > 8 * 1024 * 1024, String(saved))
})

test('a program without such data stays what it is; data that is no package is refused', async t => {
  const plain = await readFile('/usr/bin/env')
  t.is(withoutLocales(plain, 'env'), plain)
  const broken = Buffer.from(await whole)
  const at = broken.indexOf('CmnD') - 12
  const start = at + broken.readUInt16LE(at)
  broken.writeUInt32LE(0xffff_ff00, start + 4 + 8 + 4)
  t.throws(() => withoutLocales(broken, 'node'), { code: 'ERR_NETBOOT_INVALID' })
})

import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import test from 'ava'
import { withoutLocales } from '../../src/netboot/icu-data.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'

const script = `
const when = new Date(0)
const date = { timeZone: 'UTC', dateStyle: 'short', timeStyle: 'short' }
console.log(JSON.stringify([
  when.toLocaleString('en-US', date), typeof when.toLocaleString('sv-SE', date),
  typeof when.toLocaleString(), typeof when.toLocaleString('de-DE', date),
  Math.sign('a'.localeCompare('b')), Math.sign('ä'.localeCompare('z', 'de')),
  typeof new Intl.NumberFormat('fr').format(1.5), 'e\\u0301'.normalize('NFC'),
  /\\p{Lu}/u.test('Ä'), 'straße'.toUpperCase(), [...new Intl.Segmenter('en').segment('ab')].length,
  new TextDecoder('utf-16le').decode(Buffer.from('a\\0b\\0', 'latin1')),
  new TextDecoder('utf-8').decode(Buffer.from('ä')), new URL('http://bücher.example').hostname
]))`
const wanted = [
  ...['1/1/70, 12:00 AM', 'string', 'string', 'string', -1, -1, 'string', 'é', true],
  ...['STRASSE', 2, 'ab', 'ä', 'xn--bcher-kva.example']
]

test('Node does without them what it did, wherever it is told to be', async t => {
  const whole = await readFile(process.execPath)
  const smaller = withoutLocales(whole)
  t.is(smaller.length, whole.length)
  t.true(zstdCompressSync(smaller).length < zstdCompressSync(whole).length - 7_000_000)
  const path = join(await temporaryDirectory(t), 'node')
  await writeFile(path, smaller)
  await chmod(path, 0o755)
  for (const LANG of ['C', 'de_DE.UTF-8', 'zh_CN.UTF-8', undefined]) {
    const env = { LANG, LC_ALL: undefined, NODE_OPTIONS: undefined }
    const { stdout, stderr } = await runProgram(t, path, ['-e', script], { env })
    t.is(stderr, '')
    t.deepEqual(JSON.parse(stdout), wanted, LANG)
  }
})

test('a program without such data stays as it is', async t => {
  const program = await readFile('/usr/bin/env')
  t.true(withoutLocales(program).equals(program))
})

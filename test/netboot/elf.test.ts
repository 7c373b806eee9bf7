import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { withoutSymbols } from '../../src/netboot/elf.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'

test('a program runs without its symbols', async t => {
  const folder = await temporaryDirectory(t)
  const path = join(folder, 'node')
  const whole = await readFile(process.execPath)
  const stripped = withoutSymbols(whole, 'node')
  t.true(stripped.length < whole.length)
  await writeFile(path, stripped)
  await chmod(path, 0o755)
  const { stdout, stderr } = await runProgram(t, path, ['-p', '6 * 7'])
  t.is(stdout, '42\n', stderr)
})

test('it leaves about what strip leaves', async t => {
  const folder = await temporaryDirectory(t)
  const path = join(folder, 'true')
  await copyFile('/usr/bin/env', path)
  const stripped = withoutSymbols(await readFile(path), path)
  t.true(stripped.length <= (await readFile(path)).length)
  await writeFile(path, stripped)
  const { code } = await runProgram(t, path, ['true'])
  t.is(code, 0)
})

test('what is no program, or not all of one, is refused', t => {
  t.throws(() => withoutSymbols(Buffer.alloc(100), 'x'), { code: 'ERR_NETBOOT_INVALID' })
  t.throws(() => withoutSymbols(Buffer.from('#!/bin/sh'), 'x'), { code: 'ERR_NETBOOT_INVALID' })
})

test('a program that is cut short is refused', async t => {
  const whole = await readFile('/usr/bin/env')
  const cut = Buffer.from(whole.subarray(0, whole.length >> 1))
  t.throws(() => withoutSymbols(cut, 'env'), { code: 'ERR_NETBOOT_INVALID', message: /cut short/ })
  t.throws(() => withoutSymbols(Buffer.from(whole.subarray(0, 100)), 'env'), {
    code: 'ERR_NETBOOT_INVALID'
  })
})

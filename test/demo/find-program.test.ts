import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { findProgram } from '../../src/demo/find-program.ts'
import { temporaryDirectory } from '../helpers/process.ts'

test('the first folder that has the program wins; files and folders that cannot run do not', async t => {
  const folder = await temporaryDirectory(t)
  for (const name of ['a', 'b', 'c', 'd']) await mkdir(join(folder, name))
  await writeFile(join(folder, 'a/tool'), '', { mode: 0o644 })
  await mkdir(join(folder, 'b/tool'))
  await symlink('/bin/sh', join(folder, 'c/tool'))
  await symlink('/bin/sh', join(folder, 'd/tool'))
  const folders = ['', ...['a', 'b', 'c', 'd'].map(name => join(folder, name))]
  t.is(await findProgram('tool', 'tools', folders), join(folder, 'c/tool'))
})

test("an administrator's programs are found without a PATH to them", async t => {
  t.regex(await findProgram('mke2fs', 'e2fsprogs'), /\/mke2fs$/)
})

test('a missing program is told with the package it is in', async t => {
  const folder = await temporaryDirectory(t)
  const error = await t.throwsAsync(findProgram('mke2fs', 'e2fsprogs', [folder]), {
    code: 'ERR_TOOL_MISSING'
  })
  t.true(error?.message.includes('e2fsprogs'))
})

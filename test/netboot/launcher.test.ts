import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { launcherFor, type Architecture } from '../../src/netboot/index.ts'

const native = process.arch as Architecture

async function launch(t: ExecutionContext, args: string[]): Promise<[string, number]> {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-launcher-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const program = join(directory, 'launch')
  await writeFile(program, launcherFor(native))
  await chmod(program, 0o755)
  const child = spawn(program, args, { env: { FROM_TEST: 'yes' } })
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
  return [said, child.exitCode ?? -1]
}

test('it becomes the program, by the name that it is given, with arguments and environment', async t => {
  const script = `tr '\\0' ' ' </proc/$$/cmdline; echo; echo "$1 $2 $FROM_TEST"; exit 7`
  const [said, code] = await launch(t, ['/bin/sh', '@name', '-c', script, 'x', 'one', 'two'])
  const [cmdline, ...rest] = said.trimEnd().split('\n')
  t.true(cmdline?.startsWith('@name -c '))
  t.is(rest.at(-1), 'one two yes')
  t.is(code, 7)
})

test('a program that is not there is exit code 127, as in a shell', async t => {
  const [, code] = await launch(t, ['/nowhere/at/all', 'x'])
  t.is(code, 127)
})

test('both architectures are small ELF programs of their own', t => {
  const [x64, arm64] = [launcherFor('x64'), launcherFor('arm64')]
  for (const file of [x64, arm64]) {
    t.true(file.length < 256)
    t.is(file.toString('latin1', 0, 4), '\x7fELF')
    t.is(file.readBigUInt64LE(64 + 32), BigInt(file.length))
  }
  t.is(x64.readUInt16LE(18), 62)
  t.is(arm64.readUInt16LE(18), 183)
})

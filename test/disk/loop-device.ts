import { execFile } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'

const run = promisify(execFile)

/** A block device over a file of `size` bytes; gone with the test. */
export async function loopDevice(
  t: ExecutionContext,
  file: string,
  size: number,
  sectorBytes = 512
): Promise<string> {
  await writeFile(file, '')
  await truncate(file, size)
  const options = ['--find', '--show', '--sector-size', String(sectorBytes)]
  const { stdout } = await run('losetup', [...options, file])
  const device = stdout.trim()
  t.teardown(() => run('losetup', ['--detach', device]))
  return device
}

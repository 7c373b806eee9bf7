import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { BootswarmError } from '../base/index.ts'
import type { ArchiveEntry } from './archive-entry.ts'

/**
 * What V8 makes of the code that an agent loads, so that a machine need not do it again: half of the time until
 * an agent can begin. It is made by starting one, with the archive's own Node, that ends at once because its
 * ticket is none. `launcher` is bin/bootswarm, whose options for Node are a part of what V8 compares.
 */
export async function codeCacheOf(
  node: Uint8Array,
  lib: readonly ArchiveEntry[],
  launcher: string
): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'bootswarm-code-cache-'))
  try {
    const runtime = join(folder, 'node')
    await writeFile(runtime, node)
    await chmod(runtime, 0o755)
    for (const { path, bytes } of lib) await writeFile(join(folder, basename(path)), bytes)
    const cache = join(folder, 'made')
    const words = ['agent', '--ticket', 'none', '--image', 'i', '--disk', join(folder, 'disk')]
    const nbd = ['--nbd', `unix:${join(folder, 'nbd')}`, '--json']
    // One thread and no chance: the same code gives the same bytes.
    const options = [...nodeOptions(launcher), '--predictable']
    const args = [...options, join(folder, 'bootswarm.cjs'), ...words, ...nbd]
    const make = async (): Promise<Buffer> => {
      await new Promise<void>(resolve => {
        // That it says no is what it is asked for.
        execFile(runtime, args, { env: { BOOTSWARM_CODE_CACHE: cache } }, () => resolve())
      })
      return readFile(cache)
    }
    // Beside much else that runs Node was seen to end without it, once.
    return await make().catch(() => make())
  } catch (cause) {
    throw new BootswarmError('ERR_INTERNAL', 'the code cache of an agent was not made', { cause })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What `bin/bootswarm` starts Node with. */
export function nodeOptions(launcher: string): string[] {
  const [, options] = /^exec "\$runtime" ((?:--\S+ )+)/m.exec(launcher) ?? []
  if (options !== undefined) return options.trim().split(' ')
  throw new BootswarmError('ERR_INTERNAL', 'bin/bootswarm has no line that starts Node')
}

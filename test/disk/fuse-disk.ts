import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface FuseDisk {
  /** Where the disk is seen as a file. */
  readonly path: string
  /** Both processes at once, with all that nbdkit has not written. May be repeated. */
  kill(): Promise<void>
}

/** A file seen through nbdkit's filters and nbdfuse, so that it can fail, or lose what was not flushed. */
export async function fuseDisk(
  directory: string,
  name: string,
  size: number,
  filters: readonly string[],
  parameters: readonly string[]
): Promise<FuseDisk> {
  const backing = `${directory}/${name}.backing`
  if (
    await access(backing).then(
      () => false,
      () => true
    )
  ) {
    await writeFile(backing, '')
    await truncate(backing, size)
  }
  const path = `${directory}/${name}`
  await writeFile(path, '')
  const socket = `${directory}/${name}.sock`
  const nbdkit = start('nbdkit', [
    ...['--foreground', '--exit-with-parent', '--unix', socket],
    ...filters.map(filter => `--filter=${filter}`),
    ...['file', backing, ...parameters]
  ])
  await until(() => access(socket))
  const fuse = start('nbdfuse', [path, '--unix', socket])
  await until(async () => {
    if ((await stat(path)).size !== size) throw new Error('not mounted yet')
  })
  const killAll = async (): Promise<void> => {
    const ends = [nbdkit, fuse].map(child => once(child, 'exit'))
    // Nothing of the page cache may reach nbdkit any more: it goes first.
    nbdkit.kill('SIGKILL')
    fuse.kill('SIGKILL')
    await Promise.all(ends)
    const unmount = start('umount', ['--lazy', path])
    await once(unmount, 'exit')
    await rm(socket, { force: true })
  }
  let killed: Promise<void> | undefined
  const kill = (): Promise<void> => (killed ??= killAll())
  return { path, kill }
}

function start(command: string, args: readonly string[]): ChildProcess {
  return spawn(command, args, { stdio: 'ignore' })
}

const patienceMs = 30_000

async function until(job: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + patienceMs
  for (;;) {
    try {
      await job()
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(50)
    }
  }
}

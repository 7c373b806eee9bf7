import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runNow } from './commands.ts'

// What a lab makes outside its own process: namespaces, what runs in them, folders. All of it bears
// the id of the bench's process, so that a later bench can tell what a killed one has left behind.

const prefix = 'bootswarm-lab-'
/** A folder in memory first: the disks of 16 machines would share one real disk, and wait for it. */
export const folderRoots = ['/dev/shm', '/var/tmp']

/** The name of a namespace or folder of this process's lab. */
export function labName(part: string): string {
  return `${prefix}${process.pid}-${part}`
}

/** The process that a name was made by; undefined when it is no lab's. */
export function makerOf(name: string): number | undefined {
  const match = new RegExp(`^${prefix}(\\d+)-`).exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Removes what labs have left whose process has ended. */
export function removeLeftovers(): void {
  removeWhere(maker => maker !== process.pid && !isAlive(maker))
}

/** Removes all that this process's lab has made, whatever state it is in. */
export function removeOwn(): void {
  removeWhere(maker => maker === process.pid)
}

/** Everything runs in a namespace, so that no process of a lab can be overlooked or mistaken. */
export function removeNamespaces(names: readonly string[]): void {
  for (const name of names) {
    for (const pid of runNow('ip', ['netns', 'pids', name]).split('\n')) kill(Number(pid))
  }
  for (const name of names) runNow('ip', ['netns', 'del', name])
}

function removeWhere(isTheirs: (maker: number) => boolean): void {
  const ours = (name: string): boolean => {
    const maker = makerOf(name)
    return maker !== undefined && isTheirs(maker)
  }
  removeNamespaces(list('/run/netns').filter(ours))
  for (const root of folderRoots) {
    for (const name of list(root).filter(ours)) {
      rmSync(join(root, name), { recursive: true, force: true })
    }
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // No lab has ever been on this host.
    return []
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function kill(pid: number): void {
  if (!Number.isSafeInteger(pid) || pid <= 1 || pid === process.pid) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

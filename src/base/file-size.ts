import type { BigIntStats } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { limits } from './limits.ts'

/** MAJOR:MINOR. The number holds the minor's low 8 bits, 12 bits of major, and the rest of the minor. */
export function deviceNumber(rdev: bigint): string {
  const major = (rdev >> 8n) & 0xfffn
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)
  return `${major}:${minor}`
}

/** Bytes of a file or block device, of which stat(2) says 0; undefined if the kernel does not tell. */
export async function sizeOf(stats: BigIntStats): Promise<number | undefined> {
  if (!stats.isBlockDevice()) return Number(stats.size)
  const sectors = await numberIn(`/sys/dev/block/${deviceNumber(stats.rdev)}/size`)
  return sectors === undefined ? undefined : sectors * limits.sectorBytes
}

/** What a file under /sys says, if it is there and says a whole number. */
export async function numberIn(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\d+\n$/.test(text) ? Number(text) : undefined
}

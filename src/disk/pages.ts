/** Disk metadata is laid out in pages of 4 KiB, the largest sector that a disk has. */
export const pageBytes = 4096

export function wholePages(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes
}

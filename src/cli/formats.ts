import { BootswarmError } from '../base/index.ts'

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1.5 MiB`: three digits at the most, for people. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`
}

/** `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** Local time to the minute, as `2025-01-31 14:05`. */
export function formatTime(epochMs: number): string {
  // Not by Intl: the Node of an agent archive knows no language but English.
  const local = new Date(epochMs)
  const twoDigits = (value: number): string => String(value).padStart(2, '0')
  const day = [local.getFullYear(), twoDigits(local.getMonth() + 1), twoDigits(local.getDate())]
  return `${day.join('-')} ${twoDigits(local.getHours())}:${twoDigits(local.getMinutes())}`
}

/** Columns padded to their widest cell, two spaces apart; the last one as it is. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
  }
  return rows.map(row =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  )
}

const byteFactors: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/** A size, in binary units as memory has them: `131072`, `128K`, `128KiB`, `4M`. ERR_USAGE naming the option for anything else. */
export function parseBytes(option: string, text: string): number {
  const match = /^([0-9]{1,15}) ?(?:([kmg])(?:i?b)?|b)?$/i.exec(text)
  const factor = byteFactors[(match?.[2] ?? '').toLowerCase()]
  const bytes = Number(match?.[1]) * (factor ?? Number.NaN)
  if (Number.isSafeInteger(bytes)) return bytes
  throw new BootswarmError(
    'ERR_USAGE',
    `${option} ${JSON.stringify(text)} is not a number of bytes; write 131072, 128K or 4M`
  )
}

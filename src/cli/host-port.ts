import { BootswarmError } from '../base/index.ts'

/** ERR_USAGE naming the option. */
export function parseHostPort(option: string, text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host !== undefined && port <= 65_535) return { host, port }
  throw new BootswarmError('ERR_USAGE', `${option} ${text} is not HOST:PORT, such as 0.0.0.0:4911`)
}

import pino from 'pino'
import { BootswarmError } from '../base/index.ts'
import type { LogFields, Logger } from '../base/index.ts'

const logLevels = ['debug', 'info', 'warn', 'silent'] as const
type LogLevel = (typeof logLevels)[number]

interface LoggerOptions {
  /** Which part of the program speaks: `agent`, `swarm`. */
  readonly name: string
  /** Defaults to BOOTSWARM_LOG, and without that to `warn`; to `silent` while tests run. */
  readonly level?: LogLevel
}

/**
 * A logger that writes JSON lines to stderr: time, level, name, pid, the message, then its facts. It
 * writes synchronously, so that the last line before a crash is there.
 */
export function createLogger({ name, level = levelOfEnvironment() }: LoggerOptions): Logger {
  const log = pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err }
    },
    pino.destination({ dest: 2, sync: true })
  )
  return {
    debug: (message: string, fields?: LogFields) => log.debug(fields ?? {}, message),
    info: (message: string, fields?: LogFields) => log.info(fields ?? {}, message),
    warn: (message: string, fields?: LogFields) => log.warn(fields ?? {}, message)
  }
}

function levelOfEnvironment(): LogLevel {
  const wanted = process.env.BOOTSWARM_LOG
  if (wanted === undefined || wanted === '')
    return process.env.NODE_ENV === 'test' ? 'silent' : 'warn'
  const level = logLevels.find(known => known === wanted)
  if (level !== undefined) return level
  throw new BootswarmError(
    'ERR_USAGE',
    `BOOTSWARM_LOG is '${wanted}'; it takes one of ${logLevels.join(', ')}`
  )
}

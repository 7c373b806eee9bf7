import { BootswarmError, messageOf, systemErrorCode } from '../base/index.ts'
import { requestStop } from './stop-signal.ts'

// Results go to stdout, progress and errors to stderr; with --json, stdout has one object a line.

/** An event of --json: one object, one line. */
export interface EventObject {
  readonly event: string
  readonly [field: string]: unknown
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printEvent(event: EventObject): void {
  printLine(JSON.stringify(event))
}

/** Progress and remarks for people. */
export function printNote(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Whether the command line asks for JSON, known even where it could not be parsed. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes('--json')
}

/**
 * The one place where a failure reaches the user: a line on stderr, with --json an object on stdout
 * too. Returns the process's exit code. The stack is for those who set BOOTSWARM_LOG=debug.
 */
export function reportError(error: unknown, json: boolean): number {
  const known = asBootswarmError(error)
  const message = oneLine(known.message)
  if (json) printEvent({ event: 'error', code: known.code, message })
  // Who started this process by a channel, as a seed its further ones, reads the object and says it.
  if (process.channel === undefined) printNote(`bootswarm: ${message} [${known.code}]`)
  if (process.env.BOOTSWARM_LOG === 'debug') console.error(error)
  return known.exitCode
}

function asBootswarmError(thrown: unknown): BootswarmError {
  let error = thrown
  // What failed first is the reason; that putting things away failed too is a consequence.
  while (error instanceof SuppressedError) error = error.suppressed as unknown
  if (error instanceof BootswarmError) return error
  return new BootswarmError(
    'ERR_INTERNAL',
    `unexpected: ${messageOf(error)}; please report it with what BOOTSWARM_LOG=debug prints`
  )
}

/** Without line breaks and terminal codes, which a file's name may hold. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim()
}

/**
 * A reader that has gone (`bootswarm image list | head -1`) is no failure by itself: what is under way
 * stops as if told to, and says so if it was not done. Any other error of stdout is one.
 */
export function watchOutput(): void {
  process.stdout.on('error', (error: Error) => {
    if (systemErrorCode(error) !== 'EPIPE') {
      process.exitCode = reportError(outputError(error), false)
    }
    requestStop()
  })
  process.stderr.on('error', () => {})
}

function outputError(error: Error): Error {
  if (systemErrorCode(error) !== 'ENOSPC') return error
  const message = 'the output could not be written: the file system of its file is full'
  return new BootswarmError('ERR_DISK_FULL', message, { cause: error })
}

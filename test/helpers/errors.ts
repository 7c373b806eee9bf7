import type { ExecutionContext } from 'ava'
import { BootswarmError } from '../../src/base/index.ts'
import type { ErrorCode } from '../../src/base/index.ts'

/** Asserts that a promise rejects with one of our errors of that code, and gives the error back. */
export function rejectsWith(
  t: ExecutionContext,
  code: ErrorCode,
  work: Promise<unknown>
): Promise<BootswarmError> {
  return t.throwsAsync<BootswarmError>(work, { instanceOf: BootswarmError, code })
}

export function throwsWith(
  t: ExecutionContext,
  code: ErrorCode,
  work: () => unknown
): BootswarmError {
  return t.throws<BootswarmError>(work, { instanceOf: BootswarmError, code })
}

/** True when `work` returns, or throws an error of ours: what a decoder may do with any bytes. */
export function failsOnlyAsOurs(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch (error) {
    return error instanceof BootswarmError && error.code !== 'ERR_INTERNAL'
  }
}

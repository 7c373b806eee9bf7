import { BootswarmError } from '../base/index.ts'

// What a disk says when it does not do what it is asked for.

export function stopped(): BootswarmError {
  return new BootswarmError('ERR_STOPPED', 'the target disk is being closed')
}

/** After a hand-over (docs/hand-over.md). */
export function notOurs(): BootswarmError {
  return new BootswarmError(
    'ERR_HAND_OVER',
    'the disk has been handed over to the machine: it is written to directly, not by way of the agent'
  )
}

/** ERR_HAND_OVER unless the disk can stand by itself. */
export function requireComplete(isComplete: boolean, overlayBytes: number): void {
  if (!isComplete) {
    throw new BootswarmError(
      'ERR_HAND_OVER',
      'the disk cannot be handed over: it is not complete and verified yet; wait for the event complete'
    )
  }
  if (overlayBytes === 0) return
  throw new BootswarmError(
    'ERR_HAND_OVER',
    `the disk cannot be handed over: ${overlayBytes} bytes of discarded writes live in the agent; put a dm-snapshot over it instead`
  )
}

export function wrongLength(position: number, expected: number, actual: number): BootswarmError {
  return new BootswarmError(
    'ERR_INTERNAL',
    `chunk ${position} has ${expected} bytes, ${actual} came`
  )
}

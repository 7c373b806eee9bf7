const controller = new AbortController()
let isListening = false

/** bin/bootswarm says so: Node itself takes back that nohup(1) had the signal ignored. */
const isHangupIgnored = process.env.BOOTSWARM_NOHUP === '1'

/** For every command, whether it stops cleanly or not. */
export function heedNohup(): void {
  if (isHangupIgnored) process.on('SIGHUP', () => {})
}

/**
 * Aborts when the process is told to stop, by SIGINT or SIGTERM, or when its terminal is closed. Only
 * commands that stop cleanly ask for it; a second signal ends them at once.
 */
export function stopSignal({ onHangup = true } = {}): AbortSignal {
  if (!isListening) {
    isListening = true
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, requestStop)
    // Of a terminal that is closed both the kernel and the shell tell: the second one means no more.
    if (onHangup && !isHangupIgnored) process.on('SIGHUP', requestStop)
  }
  return controller.signal
}

export function requestStop(): void {
  controller.abort()
}

/** Resolves when the process is told to stop. */
export function untilStopped(options?: { onHangup?: boolean }): Promise<void> {
  const signal = stopSignal(options)
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

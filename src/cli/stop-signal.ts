const controller = new AbortController()
let isListening = false

/**
 * Aborts when the process is told to stop, by SIGINT or SIGTERM. Only commands that stop cleanly ask
 * for it; a second signal ends them at once.
 */
export function stopSignal(): AbortSignal {
  if (!isListening) {
    isListening = true
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, requestStop)
  }
  return controller.signal
}

export function requestStop(): void {
  controller.abort()
}

/** Resolves when the process is told to stop. */
export function untilStopped(): Promise<void> {
  const signal = stopSignal()
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

const failingMs = 1_000
const failingMsMax = 60_000

interface Record {
  until: number
  times: number
}

/**
 * Peers that others were sent to in vain: one that has died, or says that it has what it never sends.
 * It is not named for a while, and for twice as long each time, until somebody gets a chunk from it.
 */
export class Failing {
  #records = new Map<string, Record>()

  failed(peer: string, now: number): void {
    const record = this.#records.get(peer) ?? { until: -Infinity, times: 0 }
    // What fails together is one failure.
    if (now < record.until) return
    record.until = now + Math.min(failingMsMax, failingMs * 2 ** record.times)
    record.times += 1
    this.#records.set(peer, record)
  }

  delivered(peer: string): void {
    this.#records.delete(peer)
  }

  isFailing(peer: string, now: number): boolean {
    return now < (this.#records.get(peer)?.until ?? -Infinity)
  }
}

import { limits, type Clock } from '../base/index.ts'
import type { CompletionStatus, MachineStatus } from './status.ts'

type Report = Omit<MachineStatus, 'name' | 'peerId' | 'seenSecondsAgo' | 'completion'>

interface Machine {
  name: string
  report: Report
  seenAt: number
  completion: CompletionStatus | null
}

const unknown: Report = {
  state: 'connected',
  image: '',
  present: 0,
  rate: 0,
  bytesFromSeed: 0,
  bytesFromPeers: 0
}

/** The machines that this seed has met since it started, and those that reported a complete disk before. Who had no image is forgotten. */
export class Machines {
  #clock: Clock
  #machines = new Map<string, Machine>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  joined(peerId: string, name: string): void {
    const known = this.#machines.get(peerId)
    this.#machines.delete(peerId)
    const report = known === undefined ? unknown : { ...known.report, state: 'connected' }
    const completion = known?.completion ?? null
    this.#machines.set(peerId, { name, report, completion, seenAt: this.#clock.now() })
    this.#forgetOldest()
  }

  /** One that reported in an earlier run of the seed. */
  recall(peerId: string, name: string, completion: CompletionStatus, agoMs: number): void {
    const { image, bytesFromSeed, bytesFromPeers } = completion
    const report = { ...unknown, state: 'gone', image, present: 1, bytesFromSeed, bytesFromPeers }
    const seenAt = this.#clock.now() - Math.max(0, agoMs)
    this.#machines.set(peerId, { name, report, completion, seenAt })
    this.#forgetOldest()
  }

  completed(peerId: string, completion: CompletionStatus): void {
    const machine = this.#machines.get(peerId)
    if (machine !== undefined) machine.completion = completion
  }

  reported(peerId: string, report: Report): void {
    const machine = this.#machines.get(peerId)
    if (machine === undefined) return
    // What a machine is busy with now says nothing about its disk having been complete.
    const completeWith =
      report.state === 'complete' ? report.image : keptCompletion(machine.report, report)
    machine.report = completeWith === undefined ? report : { ...report, completeWith }
    machine.seenAt = this.#clock.now()
  }

  left(peerId: string): void {
    const machine = this.#machines.get(peerId)
    if (machine === undefined) return
    if (machine.report.image === '' && machine.completion === null) {
      // It never had an image, as who asks for one that is not known: there is nothing to tell of it.
      this.#machines.delete(peerId)
      return
    }
    machine.report = { ...machine.report, state: 'gone', rate: 0 }
    machine.seenAt = this.#clock.now()
  }

  list(): MachineStatus[] {
    const now = this.#clock.now()
    return [...this.#machines].map(([peerId, { name, report, completion, seenAt }]) => ({
      name,
      peerId,
      ...report,
      seenSecondsAgo: Math.round((now - seenAt) / 1000),
      completion
    }))
  }

  #forgetOldest(): void {
    if (this.#machines.size <= limits.machinesMax) return
    const gone = [...this.#machines].filter(([, { report }]) => report.state === 'gone')
    gone.sort(([, a], [, b]) => a.seenAt - b.seenAt)
    const [oldest] = gone
    if (oldest !== undefined) this.#machines.delete(oldest[0])
  }
}

/** A disk that is being filled with another image is complete no more. */
function keptCompletion(former: Report, { image }: Report): string | undefined {
  return former.completeWith === image ? former.completeWith : undefined
}

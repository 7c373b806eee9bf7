import { limits, type ChunkId, type Clock, secondsUp } from '../base/index.ts'
import type { TargetDisk } from '../disk/index.ts'
import type { AgentEvent } from '../observe/index.ts'
import type { Swarm } from '../swarm/index.ts'
import type { BootFiles } from './boot-files.ts'
import type { Traffic } from './traffic.ts'
import type { Transfer } from './transfer.ts'

export interface ReporterInit {
  readonly imageId: ChunkId
  readonly machineIds: readonly string[]
  /** What it serves to machines that boot. */
  readonly bootFiles: BootFiles | undefined
  readonly disk: TargetDisk
  readonly swarm: Swarm
  readonly transfer: Transfer
  readonly traffic: Traffic
  readonly clock: Clock
  state(): 'streaming' | 'verifying' | 'complete'
  emit(event: AgentEvent): void
}

const intervalMs = 1_000

/** Says how far the machine is, every second: to the seeds, and to whoever reads the events. */
export class Reporter {
  #init: ReporterInit
  #timer: NodeJS.Timeout
  #lastPresent = -1
  /** Since when reads have been waiting for longer than they should, if they are. */
  #starvedAt: number | undefined

  constructor(init: ReporterInit) {
    this.#init = init
    this.#timer = setInterval(() => this.now(), intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  now(): void {
    this.#watchReads()
    const { disk, swarm, traffic, imageId, machineIds, bootFiles } = this.#init
    const { presentChunks, chunkCount } = disk.progress()
    const present = presentChunks / chunkCount
    const rate = traffic.takeRate()
    const { bytesFromSeed, bytesFromPeers } = traffic
    const peers = swarm.links().length
    const bytesReceived = bytesFromSeed + bytesFromPeers
    const stall = traffic.stalls.look({ missing: chunkCount - presentChunks, bytesReceived, peers })
    if (stall !== undefined) this.#init.emit(stall)
    const state = this.#starvedAt === undefined ? this.#init.state() : 'starved'
    for (const link of swarm.links()) {
      if (link.certificate?.role !== 'seed') continue
      const report = { state, imageId, present, rate, bytesFromSeed, bytesFromPeers }
      link.send({ type: 'report', report: { ...report, ids: machineIds, ...bootFiles?.offer() } })
    }
    if (present === this.#lastPresent) return
    this.#lastPresent = present
    const seconds = secondsUp()
    this.#init.emit({
      event: 'progress',
      seconds,
      bytesFromSeed,
      bytesFromPeers,
      present,
      rate,
      peers
    })
  }

  #watchReads(): void {
    const { transfer, clock } = this.#init
    const waitedMs = transfer.longestWaitMs()
    const seconds = secondsUp()
    if (waitedMs >= limits.starvedMs && this.#starvedAt === undefined) {
      this.#starvedAt = clock.now() - waitedMs
      this.#init.emit({ event: 'starved', seconds, reads: transfer.waitingReads() })
    } else if (waitedMs < limits.starvedMs && this.#starvedAt !== undefined) {
      // Other reads may wait by now: a boot has some under way all the time.
      const waited = Math.round(clock.now() - this.#starvedAt) / 1000
      this.#starvedAt = undefined
      this.#init.emit({ event: 'fed', seconds, waited })
    }
  }
}

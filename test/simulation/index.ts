import type { LabResult } from './lab-result.ts'
import { defaultOptions } from './options.ts'
import type { Costs } from './processor.ts'
import { simImage, type ChunkList, type Trace } from './sim-image.ts'
import { Simulation } from './simulation.ts'

export { chunkListOf } from './chunk-list.ts'
export type { ChunkList, Trace } from './sim-image.ts'

/** A lab as bench/lab measures it. */
export interface MeasuredLab {
  readonly workload: 'copy' | 'replay'
  readonly machines: number
  readonly mbit: number
  readonly seedMbit: number
  readonly queueMs: number
  /** Of the one machine with a slow line, if there is one; it is one of `machines`. */
  readonly stragglerMbit?: number
  /** Cores of the computer that all namespaces share. */
  readonly cores: number
  /**
   * What its processors did in all, as measured. Code that is new costs several times what docs/simulator.md
   * has: all costs are multiplied so that the simulated processors do about as much.
   */
  readonly processorSeconds?: number
  readonly chunks: ChunkList
  readonly trace: Trace
  readonly seed?: number
}

/** What bench/lab measures too. */
export interface SimulatedFigures {
  /** Of the last machine that is no straggler. */
  readonly seconds: number
  /** Payload that the seed sent, and the same in copies of the image. */
  readonly seedBytes: number
  readonly seedCopies: number
  /** Payload of chunks that the boot touches that the seed sent, in copies of them. */
  readonly seedBootSets: number
  /** Messages but for frames, both ways, at the seed in its busiest second, a machine. */
  readonly messagesPeak: number
  /** Of the processors' time, and how many seconds of it in all. */
  readonly busyShare: number
  readonly processorSeconds: number
  readonly brokenRules: number
}

/** Runs it in virtual time: a second or two of real time for 16 machines. */
export function simulateLab(measured: MeasuredLab): SimulatedFigures {
  const usual = simulateWith(defaultOptions.costs, measured)
  const { processorSeconds } = measured
  if (processorSeconds === undefined || usual.processorSeconds === 0) return usual
  return simulateWith(
    times(defaultOptions.costs, processorSeconds / usual.processorSeconds),
    measured
  )
}

function times(costs: Costs, factor: number): Costs {
  const { handshakeMs, messageMs, megabyteMs, verifyMs, compressMs } = costs
  return {
    handshakeMs: handshakeMs * factor,
    messageMs: messageMs * factor,
    megabyteMs: megabyteMs * factor,
    verifyMs: verifyMs * factor,
    compressMs: compressMs * factor
  }
}

function simulateWith(costs: Costs, measured: MeasuredLab): SimulatedFigures {
  const { workload, machines, mbit, seedMbit, queueMs, stragglerMbit, cores, seed } = measured
  const image = simImage(measured.chunks, measured.trace)
  const lab = {
    ...defaultOptions,
    workload,
    agents: machines,
    mbit,
    seedMbit,
    queueMs,
    cores,
    ...(stragglerMbit === undefined ? {} : { stragglers: 1, stragglerMbit }),
    costs,
    seed: seed ?? defaultOptions.seed,
    // Released at once, as --start-at does.
    spreadMs: 5
  }
  return figuresOf(new Simulation(lab, image).run())
}

function figuresOf(result: LabResult): SimulatedFigures {
  return {
    seconds: result.lastMs / 1_000,
    seedBytes: result.seedBytes,
    seedCopies: result.seedCopies,
    seedBootSets: result.seedBootSets,
    messagesPeak: result.seedMessagesPeak,
    busyShare: result.processorShare,
    processorSeconds: result.processorSeconds,
    brokenRules: result.violationCount
  }
}

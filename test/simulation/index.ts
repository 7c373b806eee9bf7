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
  /** What this computer was seen to need; those of docs/simulator.md for what is not given. */
  readonly costs?: Partial<Costs>
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
  /** Of the processors' time. */
  readonly busyShare: number
  readonly brokenRules: number
}

/** Runs it in virtual time: a second or two of real time for 16 machines. */
export function simulateLab(measured: MeasuredLab): SimulatedFigures {
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
    costs: { ...defaultOptions.costs, ...measured.costs },
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
    brokenRules: result.violationCount
  }
}

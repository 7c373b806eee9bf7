import type { Outcome } from '../../bench/lab/run.ts'

/** An outcome of which only what is given matters. */
export function outcome(
  given: Partial<Outcome> &
    Pick<Outcome, 'name' | 'workload' | 'machines' | 'seconds'> & {
      readonly uploadBytes?: number
      readonly idle?: number
    }
): Outcome {
  const { uploadBytes = 0, idle = 0.5, ...rest } = given
  return {
    machineSeconds: [given.seconds],
    loadSeconds: 1,
    seedTraffic: { sentBytes: uploadBytes, receivedBytes: 0, sentPackets: 0, receivedPackets: 0 },
    processors: { idle, user: 1 - idle, kernel: 0, interrupts: 0, stolen: 0 },
    processorSeconds: { seed: 1, machines: 1, bench: 1 },
    compared: true,
    facts: {},
    ...rest
  }
}

import test from 'ava'
import { seededRandom } from '../../src/base/index.ts'
import { CrashMachine } from './crash-machine.ts'
import { randomSteps } from './crash-steps.ts'
import { sampleImage } from './samples.ts'

// A disk under random work and crashes: after each crash every flushed write is there, every other
// sector has one of the contents that it could have, and nothing else is anywhere. A failure names its
// seed; DISK_CRASH_SEED=n runs that one alone, DISK_CRASH_RUNS=n so many
// from there, or from the first.

const chunkSize = 16384
// A last chunk that is short, with a last block that is short.
const size = 5 * chunkSize + 4096 + 1536
const image = sampleImage(1, size, { zeroChunks: [1, 3] })

const onlySeed = process.env.DISK_CRASH_SEED
const runs = Number(process.env.DISK_CRASH_RUNS ?? (onlySeed === undefined ? 2000 : 1))

async function live(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const machine = new CrashMachine({
    image,
    seed: seed + 0x8000_0000,
    used: random.next() < 0.5,
    together: random.next() < 0.5,
    // Now and then too little.
    asideBytes: (random.next() < 0.8 ? 40 : 6) * 4096
  })
  const steps = randomSteps(random, { size, chunkSize })
  let done = 0
  const work = async (): Promise<void> => {
    await machine.start()
    for (; done < steps.length; done++) await machine.run(steps[done] ?? { kind: 'reopen' })
    await machine.end()
  }
  try {
    await withinLimit(work())
  } catch (cause) {
    const last = JSON.stringify(steps.slice(Math.max(0, done - 5), done + 1))
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`DISK_CRASH_SEED=${seed}: ${reason}; step ${done}, the last ones ${last}`, {
      cause
    })
  }
}

/** A life is over in a tenth of a second; one that is not is stuck. */
async function withinLimit(work: Promise<void>): Promise<void> {
  const stuck = Promise.withResolvers<never>()
  const timer = setTimeout(() => stuck.reject(new Error('it is stuck')), 60_000)
  try {
    await Promise.race([work, stuck.promise])
  } finally {
    clearTimeout(timer)
  }
}

test('whatever crashes, what was flushed is there, and nothing that was never written', async t => {
  t.timeout(120_000)
  const first = onlySeed === undefined ? 1 : Number(onlySeed)
  for (let seed = first; seed < first + runs; seed++) {
    await live(seed)
    // Each one sets the time-out anew: a busy machine is slow, not stuck.
    t.pass()
  }
})

import test from 'ava'
import type { LabResult } from './lab-result.ts'
import type { LabOptions } from './lab-options.ts'
import { defaultOptions } from './options.ts'
import { drawImage, readTrace, simImage } from './sim-image.ts'
import { Simulation } from './simulation.ts'

// Boots that know what will be read: in virtual time, so that the figures are the same each time.

const trace = await readTrace(new URL('debian12-boot-reads.json', import.meta.url).pathname)
const image = simImage(drawImage(trace, 1), trace)

function boot(options: Partial<LabOptions>): LabResult {
  const lab = { ...defaultOptions, agents: 1, endMs: 120_000, ...options }
  return new Simulation(lab, image).run()
}

test('with a profile a machine boots sooner, and with a fifth of it wrong still sooner', t => {
  const cold = boot({}).lastMs
  const right = boot({ profile: 1 }).lastMs
  const wrong = boot({ profile: 0.8 }).lastMs
  t.true(right < 0.8 * cold, `${right} against ${cold} ms`)
  t.true(wrong < cold, `${wrong} against ${cold} ms`)
})

test('a profile that is wrong throughout costs a twentieth', t => {
  const cold = boot({}).lastMs
  const wrong = boot({ profile: 0.001 }).lastMs
  t.true(wrong < 1.05 * cold, `${wrong} against ${cold} ms`)
})

for (const mbit of [40, 5]) {
  test(`sixteen with a profile share it at ${mbit} Mbit/s, and the seed sends it once`, t => {
    const lines = { mbit, seedMbit: mbit, profile: 1 }
    const alone = boot(lines).lastMs
    const sixteen = boot({ ...lines, agents: 16 })
    t.is(sixteen.done, 16)
    t.true(sixteen.lastMs < 1.35 * alone, `${sixteen.lastMs} against ${alone} ms`)
    t.true(sixteen.seedBootSets < 1.2, `${sixteen.seedBootSets} boot sets`)
  })
}

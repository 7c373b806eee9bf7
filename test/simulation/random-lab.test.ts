import test from 'ava'
import { argumentsOf } from './options.ts'
import { randomLab } from './random-lab.ts'
import { smallImage } from './sim-image.ts'
import { Simulation } from './simulation.ts'

// One seed reproduces any disaster. BOOTSWARM_LAB_SEEDS=1000-1999 looks for more of them.
const [first = 1, last = 24] = (process.env['BOOTSWARM_LAB_SEEDS'] ?? '1-24').split('-').map(Number)

for (let seed = first; seed <= last; seed += 1) {
  test(`random lab ${seed} keeps every rule`, t => {
    const lab = randomLab(seed)
    const { violations } = new Simulation(
      lab,
      smallImage(lab.items, lab.frameBytes, lab.thinkMs)
    ).run()
    t.deepEqual(violations, [], `SEED ${seed}: node test/simulation/run.ts ${argumentsOf(lab)}`)
  })
}

test('one seed gives the same run twice', t => {
  const lab = randomLab(7)
  const image = smallImage(lab.items, lab.frameBytes, lab.thinkMs)
  const [one, two] = [new Simulation(lab, image).run(), new Simulation(lab, image).run()]
  t.deepEqual(one, two)
  t.notDeepEqual(one, new Simulation({ ...lab, seed: 8 }, image).run())
})

import test from 'ava'
import fc from 'fast-check'
import { chart, panelsOf, ticksUpTo } from '../../bench/lab/chart.ts'
import { outcome } from './samples.ts'

const runs = [
  outcome({ name: 'bootswarm', workload: 'copy', machines: 16, seconds: 36, uploadBytes: 150e6 }),
  outcome({ name: 'bootswarm', workload: 'copy', machines: 1, seconds: 30, uploadBytes: 140e6 }),
  outcome({ name: 'http', workload: 'copy', machines: 1, seconds: 29, uploadBytes: 140e6 })
]

test('a workload has a panel for the time and one for the upload, machines ascending', t => {
  const panels = panelsOf(runs)
  t.deepEqual(
    panels.map(({ title }) => title),
    ['Full copy: last machine, s', 'Full copy: seed upload, MB']
  )
  t.deepEqual(panels[0]?.series[0], {
    name: 'bootswarm',
    points: [
      [1, 30],
      [16, 36]
    ]
  })
  t.deepEqual(panels[1]?.series[0]?.points, [
    [1, 140],
    [16, 150]
  ])
})

test('every point is drawn, and no number is missing in what is drawn', t => {
  const svg = chart(panelsOf(runs))
  t.is(svg.match(/<circle/g)?.length, 6)
  t.notRegex(svg, /NaN|undefined|Infinity/)
  t.notRegex(chart([]), /NaN|undefined|Infinity/)
  t.notRegex(chart(panelsOf(runs.slice(2))), /NaN|undefined|Infinity/)
})

test('ticks are round, begin at nothing and reach what is to be shown', t => {
  t.deepEqual(ticksUpTo(133), [0, 50, 100, 150])
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 1e6, noNaN: true }), most => {
      const ticks = ticksUpTo(most)
      t.is(ticks[0], 0)
      t.true((ticks.at(-1) ?? 0) >= most * (1 - 1e-5))
      t.true(ticks.length >= 2 && ticks.length <= 7)
    })
  )
})

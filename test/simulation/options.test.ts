import { readFile } from 'node:fs/promises'
import test from 'ava'
import { rolesOf } from './lab-options.ts'
import { argumentsOf, defaultOptions, optionTable, readCommandLine, usage } from './options.ts'
import { randomLab } from './random-lab.ts'

const page = new URL('../../docs/simulator.md', import.meta.url)

test('the page lists every option with its default', async t => {
  const rows = (text: string): string[] =>
    text
      .split('\n')
      .filter(line => /^\| `--[a-z-]+` /.test(line))
      .map(line => line.replace(/ +/g, ' '))
  t.deepEqual(rows(await readFile(page, 'utf8')), rows(optionTable()))
})

test('--help has a line for every option of the page', t => {
  const names = (text: string): string[] =>
    text.split('\n').flatMap(line => /^[| `]*(--[a-z][a-z-]+)/.exec(line)?.[1] ?? [])
  t.deepEqual(names(usage()), names(optionTable()))
  t.true(names(usage()).length > 40)
})

test('what is not given is as in the bench', t => {
  const { lab, counts, workloads } = readCommandLine([])
  t.deepEqual(lab, defaultOptions)
  t.deepEqual(counts, [1, 16, 64])
  t.deepEqual(workloads, ['copy', 'replay'])
})

test('a number reaches the lab, a cost its costs, and a mechanism is switched off', t => {
  const { lab } = readCommandLine(
    '--seed-mbit 400 --handshake-ms 9 --without chains,foresight'.split(' ')
  )
  t.is(lab.seedMbit, 400)
  t.is(lab.costs.handshakeMs, 9)
  t.is(lab.costs.verifyMs, defaultOptions.costs.verifyMs)
  t.deepEqual(
    { ...lab.mechanisms },
    { ...defaultOptions.mechanisms, chains: false, foresight: false }
  )
})

for (const words of [
  '--mbit fast',
  '--mbit=-1',
  '--workload boot',
  '--without luck',
  '--no-such 1'
]) {
  test(`${words} is refused`, t => {
    t.throws(() => readCommandLine(words.split(' ')))
  })
}

test('the command line of a random lab makes that lab', t => {
  for (let seed = 1; seed < 50; seed += 1) {
    const lab = { ...randomLab(seed), mechanisms: { ...defaultOptions.mechanisms, chains: false } }
    const line = readCommandLine(argumentsOf(lab).split(' '))
    t.deepEqual({ ...line.lab, agents: lab.agents, workload: lab.workload }, lab)
    t.deepEqual(line.counts, [lab.agents])
    t.deepEqual(line.workloads, [lab.workload])
  }
})

test('every machine has one role, and more roles than machines are refused', t => {
  const lab = { ...defaultOptions, agents: 4, stragglers: 1, liars: 2 }
  t.deepEqual(rolesOf(lab), ['straggler', 'liar', 'liar', 'plain'])
  t.throws(() => rolesOf({ ...lab, agents: 2 }), { message: /fewer/ })
})

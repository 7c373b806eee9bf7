import { availableParallelism, cpus } from 'node:os'
import { commandLine } from './command-line.ts'
import { measureCrowd } from './wire/crowd.ts'
import { figuresOf, targetsOf, type Config, type Figures } from './wire/figures.ts'
import { decodingCost, measurePair, type Measured } from './wire/pair.ts'

// What a byte costs on the wire: two processes on loopback, beside a bare TLS socket and beside noise, all
// in one run. docs/bench-wire.md says how to read it.

const values = commandLine('What a byte costs on the wire (docs/bench-wire.md)', {
  repetitions: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  depth: { type: 'string', default: '16' },
  agents: { type: 'string', default: '500' },
  json: { type: 'boolean', default: false }
})

const configs: readonly Config[] = [
  { transport: 'bare', frames: 'plain' },
  { transport: 'tls', frames: 'plain' },
  { transport: 'noise', frames: 'plain' },
  { transport: 'tls', frames: 'zstd' }
]

const measured = new Map<Config, Measured[]>(configs.map(config => [config, []]))
const decoding: number[] = []
const depth = Number(values.depth)
const seconds = Number(values.seconds)
for (let repetition = 0; repetition < Number(values.repetitions); repetition += 1) {
  // Interleaved, so that what else the machine does falls on all of them.
  for (const config of configs) {
    const task = { ...config, depth, seconds }
    measured.get(config)?.push(await measurePair(task))
    if (config.frames === 'zstd') decoding.push(await decodingCost(task))
  }
}

const all: Figures[] = []
for (const [config, list] of measured) {
  all.push(figuresOf(config, list, config.frames === 'zstd' ? decoding : [0]))
}
const agents = Number(values.agents)
const crowd = agents > 0 ? await measureCrowd(agents, 2, 5) : undefined
const targets = targetsOf(all, crowd)

if (values.json) console.log(JSON.stringify({ figures: all, crowd, targets }))
else print()

function print(): void {
  console.log(
    `${availableParallelism()} processors, ${cpus()[0]?.model ?? 'unknown'}; medians of ${values.repetitions}`
  )
  console.log(
    '\n| transport | frames | MB/s | plain MB/s | sender s/GB | receiver s/GB plain | of it zstd | resident MB, sender, receiver |'
  )
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |')
  for (const one of all) {
    const cells = [
      one.transport,
      one.frames,
      one.megabytesPerSecond.toFixed(0),
      one.plainMegabytesPerSecond.toFixed(0),
      one.senderPerFrameGB.toFixed(2),
      one.receiverPerPlainGB.toFixed(2),
      one.decodingPerPlainGB.toFixed(2),
      `${one.senderResidentMB.toFixed(0)}, ${one.receiverResidentMB.toFixed(0)}`
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
  if (crowd !== undefined) console.log(`\n${JSON.stringify(crowd)}`)
  console.log('\n| target | wanted | measured | met |\n| --- | --- | --- | --- |')
  for (const { what, wanted, measured: value, isMet } of targets) {
    console.log(`| ${what} | ${wanted} | ${value} | ${isMet ? 'yes' : 'no'} |`)
  }
}

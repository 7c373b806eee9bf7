import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Lab } from '../test/boot/lab/lab.ts'
import { run } from '../test/boot/processes.ts'
import { contenders, type Boot } from './boot/contenders.ts'
import { BenchLife } from './boot/life.ts'
import { markdownOf, rowsOf, type Sizes } from './boot/report.ts'
import { commandLine } from './command-line.ts'

// A machine's boot with its root in the swarm, beside the same with its root on one NBD server and on its own
// disk; docs/bench-boot.md says how. As root, as the boot tests are.

const values = commandLine(
  'From the kernel to the login prompt, over the swarm, nbdkit and a local disk (docs/bench-boot.md)',
  {
    rounds: { type: 'string', default: '5' },
    /** Of each machine. */
    processors: { type: 'string', default: '1' },
    /** Which, separated by commas; all by default. */
    only: { type: 'string' },
    json: { type: 'string' }
  }
)

const program = fileURLToPath(new URL('../bin/bootswarm', import.meta.url))
const bench = new BenchLife()
try {
  const lab = await Lab.make(bench.life)
  const processors = Number(values.processors)
  const all = (await contenders(bench.life, lab, processors)).filter(
    ({ name }) => values.only?.split(',').includes(name) ?? true
  )
  const boots: Boot[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    // In another order each time: what one leaves in the host's page cache meets all of them.
    const turn = round % all.length
    for (const contender of [...all.slice(turn), ...all.slice(0, turn)]) {
      const boot = await contender.boot()
      lab.note(`${boot.contender}: ${JSON.stringify(boot)}`)
      boots.push(boot)
    }
  }
  const rows = rowsOf(boots)
  console.log(`machines of ${processors} processors\n`)
  const sizes = await sizesOf(lab.image.initrd)
  console.log(markdownOf(rows, sizes))
  if (values.json !== undefined) {
    await writeFile(values.json, JSON.stringify({ processors, rows, sizes, boots }, null, 2))
  }
} finally {
  await bench.end()
}

/** As they are served: the lab's own archive is compressed in haste. */
async function sizesOf(initrd: string): Promise<Sizes> {
  const folder = await mkdtemp(join(tmpdir(), 'bootswarm-bench-boot-'))
  try {
    const args = ['netboot', 'archive', '--out', folder, '--json']
    const { path } = JSON.parse(await run(program, args)) as { path: string }
    return {
      firstStageBytes: (await stat(initrd)).size,
      archiveBytes: (await stat(path)).size
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

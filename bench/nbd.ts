import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandLine } from './command-line.ts'
import { startBootswarm, startNbdkit, startQemuNbd, type Contender } from './nbd/contenders.ts'
import { runFio } from './nbd/fio.ts'
import { markdownOf, rowsOf, type Sample } from './nbd/report.ts'
import { workloads } from './nbd/workloads.ts'

// The NBD server beside nbdkit's file plugin and qemu-nbd, all on one file; docs/bench-nbd.md says how.

const values = commandLine(
  "The NBD server beside nbdkit's file plugin and qemu-nbd (docs/bench-nbd.md)",
  {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    json: { type: 'string' }
  }
)

const directory = await mkdtemp(join(tmpdir(), 'bootswarm-bench-nbd-'))
const contenders: Contender[] = []
try {
  contenders.push(await startBootswarm(directory))
  contenders.push(await startNbdkit(directory), await startQemuNbd(directory))
  const samples = await measureAll(Number(values.rounds), Number(values.seconds))
  const rows = rowsOf(samples, workloads)
  console.log(markdownOf(rows))
  if (values.json !== undefined)
    await writeFile(values.json, JSON.stringify({ rows, samples }, null, 2))
} finally {
  for (const contender of contenders) contender.stop()
  await rm(directory, { recursive: true, force: true })
}

/** Interleaved: whatever else the machine does meets all of them. */
async function measureAll(rounds: number, seconds: number): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 0; round < rounds; round++) {
    for (const workload of workloads) {
      for (const contender of contenders) {
        contender.begin()
        const measured = await runFio(contender.uri, workload, seconds)
        const loopP99Ms = await contender.end()
        samples.push({ workload: workload.name, contender: contender.name, ...measured, loopP99Ms })
      }
    }
  }
  return samples
}

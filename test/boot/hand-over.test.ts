import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { checkTarget, makeTarget, makeToolsDisk, startHandOverGuest } from './hand-over-guest.ts'
import { buildDebianImage, type BuiltImage } from './image.ts'
import type { RunningProcess } from './processes.ts'

// A machine takes its disk out of the agent's hands while it writes: device-mapper over NBD becomes
// device-mapper over the disk (docs/hand-over.md). Helpers, agents and the power are killed on the way.

const minuteMs = 60_000
const isWhole = process.env.BOOTSWARM_HANDOVER === 'all'
const keptForReaders = fileURLToPath(new URL('../../build/boot/', import.meta.url))

interface Lab {
  readonly directory: string
  boot(targets: readonly string[], scenarios: readonly string[]): Promise<RunningProcess>
}

interface Parts {
  readonly directory: string
  readonly image: BuiltImage
  readonly tools: string
}

let parts: Promise<Parts> | undefined

/** Made once for all guests: they leave both as they are. */
async function makeParts(): Promise<Parts> {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-hand-over-parts-'))
  const image = await buildDebianImage(directory)
  return { directory, image, tools: await makeToolsDisk(directory) }
}

test.after.always(async () => {
  const made = await parts?.catch(() => undefined)
  if (made !== undefined) await rm(made.directory, { recursive: true, force: true })
})

async function makeLab(t: ExecutionContext): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-hand-over-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  await mkdir(keptForReaders, { recursive: true })
  const consoleFile = join(keptForReaders, `hand-over-${process.pid}.txt`)
  t.teardown(async () => {
    if (t.passed) return rm(consoleFile, { force: true })
    const text = await readFile(consoleFile, 'utf8').catch(() => '(the guest was not started)')
    t.log(`The guest's console is in ${consoleFile} and ends with:\n${text.slice(-4000)}`)
  })
  const { image, tools } = await (parts ??= makeParts())
  return {
    directory,
    boot: (targets, scenarios) =>
      startHandOverGuest(t, { image, tools, targets, scenarios, consoleFile })
  }
}

function until(guest: RunningProcess, line: RegExp, timeoutMs = 8 * minuteMs): Promise<string> {
  return guest.waitFor(String(line), timeoutMs, output => {
    if (/guest: the end|Kernel panic/.test(output) && !line.test(output)) {
      throw new Error(`the guest never said ${String(line)}`)
    }
    return line.exec(output)?.[0]
  })
}

const intact = (disk: string): RegExp =>
  new RegExp(`guest: ${disk} has \\d+ files, all as they were written`)

test('a machine that writes takes its disk over; a helper killed after any step is run again', async t => {
  t.timeout(11 * minuteMs)
  const lab = await makeLab(t)
  const target = await makeTarget(lab.directory, 'vdc')
  const guest = await lab.boot([target], ['vdc:helper'])
  await until(guest, /guest: vdc is handed over/)
  await until(guest, /guest: the writer of vdc goes on without an agent/)
  // Started again while device-mapper holds the disk: it has nothing to write, and says so.
  await until(guest, /agent is ready, handed over: true/)
  await until(guest, intact('vdc'))
  t.is(await guest.ended(minuteMs), 0)
  t.true((await checkTarget(target, lab.directory)) > 10)
})

if (isWhole) {
  for (const step of ['prepare', 'load', 'suspend', 'seal', 'resume']) {
    test(`the helper and the agent are killed together after ${step}, and started again`, async t => {
      t.timeout(11 * minuteMs)
      const lab = await makeLab(t)
      const target = await makeTarget(lab.directory, 'vdc')
      const guest = await lab.boot([target], [`vdc:both-${step}`])
      await until(guest, /guest: vdc is handed over/)
      await until(guest, intact('vdc'))
      t.is(await guest.ended(minuteMs), 0)
      t.true((await checkTarget(target, lab.directory)) > 5)
    })

    test(`power is lost after ${step}: the machine comes back with all that was synced`, async t => {
      t.timeout(11 * minuteMs)
      const lab = await makeLab(t)
      const target = await makeTarget(lab.directory, 'vdc')
      const lost = await lab.boot([target], [`vdc:power-${step}`])
      await until(lost, /guest: vdc: cut the power/)
      lost.kill()
      await lost.ended(minuteMs)
      const isSealed = step === 'seal' || step === 'resume'
      const next = await lab.boot([target], [isSealed ? 'vdc:alone' : 'vdc:resume'])
      await until(next, intact('vdc'))
      t.is(await next.ended(minuteMs), 0)
      t.true((await checkTarget(target, lab.directory)) > 3)
    })
  }
}

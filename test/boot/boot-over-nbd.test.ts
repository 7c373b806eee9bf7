import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { askTicket, importImage, startAgent, startSeed, waitForEvent } from './bootswarm.ts'
import { differingBlocks } from './disks.ts'
import { startGuest } from './guest.ts'
import { buildDebianImage } from './image.ts'
import { run } from './processes.ts'
import { countBlocks, readWriteLog, replayWrites } from './write-log.ts'

const minuteMs = 60_000
const consoleTailLines = 40
const keptForReaders = fileURLToPath(new URL('../../build/boot/', import.meta.url))

/** A console that a reader finds after a failure, and that nobody has to clean up otherwise. */
async function makeConsoleFile(t: ExecutionContext): Promise<string> {
  await mkdir(keptForReaders, { recursive: true })
  const file = join(keptForReaders, `console-${process.pid}.txt`)
  t.teardown(async () => {
    if (t.passed) return rm(file, { force: true })
    const text = await readFile(file, 'utf8').catch(() => '(the guest was not started)')
    const tail = text.split('\n').slice(-consoleTailLines).join('\n')
    t.log(`The guest's console is in ${file} and ends with:\n${tail}`)
  })
  return file
}

test('a machine boots from its agent and writes while two others stream the same image', async t => {
  t.timeout(11 * minuteMs)
  const startedAt = performance.now()
  const note = (what: string): void =>
    t.log(`${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${what}`)

  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-boot-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const consoleFile = await makeConsoleFile(t)
  const store = join(directory, 'store')
  const writeLog = join(directory, 'writes.log')

  const image = await buildDebianImage(directory)
  note('image built')
  await importImage(store, image.disk, 'debian-12')
  note('image imported')
  const seed = await startSeed(t, store)
  const ticket = await askTicket(store)

  const machines = ['machine-1', 'machine-2', 'machine-3'].map(name => {
    const disk = join(directory, `${name}.img`)
    const nbdSocket = join(directory, `${name}.sock`)
    const agent = startAgent(t, { name, ticket, image: 'debian-12', disk, nbdSocket })
    return { name, disk, nbdSocket, agent }
  })
  const [booting, ...streaming] = machines as [(typeof machines)[0], ...typeof machines]
  const allComplete = Promise.all(
    machines.map(async ({ name, agent }) => {
      const complete = await waitForEvent(agent, 'complete', 10 * minuteMs)
      note(`${name} complete: ${JSON.stringify(complete)}`)
      return complete
    })
  )
  // Awaited below; an agent that dies meanwhile is no unhandled rejection.
  allComplete.catch(() => undefined)

  const ready = await waitForEvent(booting.agent, 'ready', minuteMs)
  t.is(ready['size'], 4 * 1024 ** 3)
  note('the booting agent is ready')
  const { nbdSocket } = booting
  const guest = await startGuest(t, { image, nbdSocket, writeLog, consoleFile })
  await guest.waitForText('debian login: ', 5 * minuteMs)
  note('login prompt')
  await guest.logIn()
  // Forty thousand lines are more than a chunk, so what is written is not all in one piece.
  await guest.runCommand('seq 1 40000 > /root/written-by-guest && sync', minuteMs)
  t.is(await guest.powerOff(2 * minuteMs), 0)
  note('guest is off')

  for (const complete of await allComplete) t.truthy(complete['verified'])
  for (const { name, agent } of machines) t.is(await agent.stop(), 0, name)
  t.is(await seed.stop(), 0)

  // What the guest wrote is there, in a file system that is whole.
  const lines = Array.from({ length: 40_000 }, (_, index) => `${index + 1}\n`).join('')
  t.true((await run('debugfs', ['-R', 'cat /root/written-by-guest', booting.disk])) === lines)
  await t.notThrowsAsync(run('e2fsck', ['-fn', booting.disk]))

  // QEMU kept its own record of the guest's writes: the image and those writes, nothing else, make
  // up the disk, so every block that the guest did not write is the image's.
  const writes = await readWriteLog(writeLog)
  const changed = await differingBlocks(booting.disk, image.disk)
  note(`guest wrote ${countBlocks(writes, 4096)} blocks; ${changed.length} differ from the image`)
  t.true(changed.length > 0)
  for (const { disk } of streaming) t.deepEqual(await differingBlocks(disk, image.disk), [])
  await replayWrites(writes, image.disk)
  t.deepEqual(await differingBlocks(booting.disk, image.disk), [])
})

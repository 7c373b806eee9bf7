import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { buildDemoImage } from '../../src/demo/index.ts'
import { buildTools, startAttachGuest } from './attach-guest.ts'
import type { Guest } from './guest.ts'
import { askTicket, importImage, startSeed, waitForEvent } from './bootswarm.ts'
import { buildDebianImage, type BuiltImage } from './image.ts'
import { run, start, type RunningProcess } from './processes.ts'

// A kernel's own NBD device over an agent that is killed, and then stopped, under heavy load: the
// machine sees two pauses, and neither an error nor a lost byte.

const minuteMs = 60_000
const MiB = 1024 * 1024
const program = fileURLToPath(new URL('../../bin/bootswarm', import.meta.url))
const kept = fileURLToPath(new URL('../../build/boot/', import.meta.url))

/** Writers that keep their files' checksums elsewhere, readers of what the image had, and syncs. */
const load = `
cat > /root/load.sh <<'END'
[ -n "$P" ] || P=w
writer() {
  for i in $(seq 1 $2); do
    dd if=/dev/urandom of=/work/$P$1.$i bs=16k count=$((i % 9 + 1)) status=none || echo FAILED
    (cd /work && sha256sum $P$1.$i) >> /root/sums.$1
    [ $((i % 7)) = 0 ] && rm /work/$P$1.$((i - 3)) && sed -i "/ $P$1.$((i - 3))\\$/d" /root/sums.$1
    [ $((i % 5)) = 0 ] && sync -f /work
  done
}
for w in 1 2 3; do writer $w $1 & done
for i in 1 2 3 4; do
  echo 3 > /proc/sys/vm/drop_caches
  (cd /work && sha256sum -c --quiet /root/image.sums) || echo FAILED
done
wait
END
`

/** An image that is there already saves minutes: BOOTSWARM_BOOT_LAB names its directory. */
async function debianImage(directory: string): Promise<BuiltImage> {
  const lab = process.env.BOOTSWARM_BOOT_LAB
  if (lab === undefined) return buildDebianImage(directory)
  return {
    disk: join(lab, 'debian-12.img'),
    kernel: join(lab, 'vmlinuz'),
    initrd: join(lab, 'initrd.img')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

interface IoctlRun {
  readonly port: number
  readonly agent: RunningProcess
  readonly startAgent: () => Promise<RunningProcess>
  readonly note: (what: string) => void
}

/**
 * The same file system by nbd-client and ioctl, which knows no dead-connection time-out: when the agent
 * is killed the kernel gives the file system errors, and after the machine has attached it again the
 * journal has put it right and all that was synced is there. Gives back the agent that runs then.
 */
async function throughIoctl(guest: Guest, { port, agent, startAgent, note }: IoctlRun) {
  const client = 'LD_LIBRARY_PATH=/tools/nbd-client /tools/nbd-client/nbd-client'
  const attach = `${client} -N '' 10.0.2.2 ${port} /dev/nbd1 -nonetlink -timeout 600`
  await guest.runCommand('rm -f /root/sums.* /root/done; dmesg -C', minuteMs)
  await guest.runCommand(attach, 2 * minuteMs)
  await guest.runCommand('mount /dev/nbd1 /work', minuteMs)
  await guest.runCommand('sh /root/load.sh 15 > /root/load.log 2>&1', 5 * minuteMs)
  await guest.runCommand('sync && ! grep -q . /root/load.log', minuteMs)
  await guest.runCommand('cat /root/sums.* > /root/synced; rm /root/sums.*', minuteMs)
  note('ioctl: the first load is done')
  // Files of other names, so that what was synced stays as it is.
  const more = '{ (P=x sh /root/load.sh 40 > /dev/null 2>&1; touch /root/done) & }'
  await guest.runCommand(more, minuteMs)
  await sleep(4_000)
  agent.kill()
  note('ioctl: the agent is killed')
  await guest.runCommand('until [ -e /root/done ]; do sleep 1; done', 10 * minuteMs)
  await guest.runCommand(`umount -l /work; ${client} -d /dev/nbd1; true`, 2 * minuteMs)
  const next = await startAgent()
  await guest.runCommand(attach, 2 * minuteMs)
  await guest.runCommand('mount /dev/nbd1 /work', minuteMs)
  await guest.runCommand('(cd /work && sha256sum -c --quiet /root/synced)', 5 * minuteMs)
  await guest.runCommand('(cd /work && sha256sum -c --quiet /root/image.sums)', 5 * minuteMs)
  await guest.runCommand('umount /work && e2fsck -fn /dev/nbd1', 5 * minuteMs)
  await guest.runCommand(`${client} -d /dev/nbd1`, minuteMs)
  note('ioctl: attached again and checked')
  return next
}

test('an ext4 under load on /dev/nbd0: the agent is killed, then stopped, and comes back', async t => {
  t.timeout(25 * minuteMs)
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-attach-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  await mkdir(kept, { recursive: true })
  const consoleFile = join(kept, `attach-console-${process.pid}.txt`)
  const since = performance.now()
  const note = (what: string): void =>
    t.log(`${((performance.now() - since) / 1000).toFixed(1)} s: ${what}`)

  const store = join(directory, 'store')
  const image = join(directory, 'lab.img')
  await buildDemoImage({ path: image, workDir: directory, sizeBytes: 128 * MiB })
  await importImage(store, image, 'lab')
  await startSeed(t, store)
  const ticket = await askTicket(store)
  const port = await freePort()
  const disk = join(directory, 'disk')
  const startAgent = async (): Promise<RunningProcess> => {
    const what = ['--ticket', ticket, '--image', 'lab', '--name', 'machine', '--disk', disk]
    const agent = start(t, 'agent', program, [
      ...['agent', ...what, '--nbd', `127.0.0.1:${port}`, '--json'],
      ...['--listen', '/ip4/127.0.0.1/tcp/0']
    ])
    await waitForEvent(agent, 'ready', 2 * minuteMs)
    return agent
  }
  const first = await startAgent()
  const tools = await buildTools(directory)
  const debian = await debianImage(directory)
  const guest = await startAttachGuest(t, { image: debian, tools, port, consoleFile })
  note('the guest is up')
  const attach = '/tools/node /tools/src/cli/main.ts attach'
  await guest.runCommand(
    `(${attach} --nbd 10.0.2.2:${port} --json > /root/attach.log 2>&1 &); until grep -q attached /root/attach.log; do sleep 0.5; done`,
    3 * minuteMs
  )
  await guest.runCommand('mount /dev/nbd0 /work', minuteMs)
  await guest.runCommand(
    'cd /work && find . -xdev -type f -size -2000k | head -150 | xargs -d "\\n" sha256sum > /root/image.sums; cd /root',
    3 * minuteMs
  )
  for (const line of load.trim().split('\n')) guest.type(`${line}\n`)
  await guest.runCommand('true', minuteMs)
  await guest.runCommand(
    '{ (sh /root/load.sh 120 > /root/load.log 2>&1; touch /root/done) & }',
    minuteMs
  )
  note('load')
  await sleep(8_000)
  first.kill()
  note('the agent is killed')
  await sleep(6_000)
  const second = await startAgent()
  note('an agent is back')
  await guest.runCommand('until grep -q reconnected /root/attach.log; do sleep 0.5; done', minuteMs)
  await sleep(8_000)
  t.is(await second.stop(), 0)
  note('the agent is stopped')
  await sleep(4_000)
  const third = await startAgent()
  await guest.runCommand('until [ -e /root/done ]; do sleep 1; done', 10 * minuteMs)
  note('the load is done')
  await guest.runCommand('cat /root/attach.log /root/load.log; dmesg | tail -30', minuteMs)
  await guest.runCommand('! grep -q . /root/load.log', minuteMs)
  await guest.runCommand('[ $(grep -c reconnected /root/attach.log) -ge 2 ]', minuteMs)
  await guest.runCommand('sync; echo 3 > /proc/sys/vm/drop_caches', minuteMs)
  await guest.runCommand(
    '(cd /work && cat /root/sums.* /root/image.sums | sha256sum -c --quiet)',
    5 * minuteMs
  )
  await guest.runCommand('! dmesg | grep -iE "I/O error|EXT4-fs (error|warning)"', minuteMs)
  await guest.runCommand('umount /work && e2fsck -fn /dev/nbd0', 5 * minuteMs)
  note('checked in the guest')
  const fourth = await throughIoctl(guest, { port, agent: third, startAgent, note })
  await guest.powerOff(2 * minuteMs)
  t.is(await fourth.stop(), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', disk]))
  if (t.passed) await rm(consoleFile, { force: true })
  else t.log((await readFile(consoleFile, 'utf8')).slice(-4000))
})

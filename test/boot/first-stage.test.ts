import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { TargetDisk } from '../../src/disk/index.ts'
import { loopDevice } from '../disk/loop-device.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from '../disk/samples.ts'
import { run } from './processes.ts'

// What of the first stage needs no machine.

const root = fileURLToPath(new URL('../../', import.meta.url))
const firstStage = join(root, 'bootstrap/first-stage')

test('shellcheck has nothing to say', async t => {
  const all = await readdir(join(root, 'bootstrap'), { recursive: true, withFileTypes: true })
  const scripts = all
    .filter(entry => entry.isFile() && !entry.name.endsWith('.ts') && !entry.name.endsWith('.md'))
    .map(entry => join(entry.parentPath, entry.name))
    // Parts of a whole are read with the script that has them all.
    .filter(path => !path.startsWith(firstStage) || /(start|carrier|into-root)\.sh$/.test(path))
  t.true(scripts.length >= 10)
  await t.notThrowsAsync(run('shellcheck', ['-x', '-P', root, ...scripts]))
})

/** Runs lines in the shell of an initramfs, after the parts named; what they print. */
async function inShell(parts: readonly string[], lines: string): Promise<string> {
  const sources = parts.map(part => `. ${firstStage}/${part}.sh`)
  const quiet = ['say() { echo "say: $*"; }', 'fail() { echo "fail: $1"; return 1; }']
  return run('busybox', ['sh', '-c', [...sources, ...quiet, lines].join('\n')])
}

async function cmdline(t: ExecutionContext, words: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-first-stage-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'cmdline')
  await writeFile(file, `${words}\n`)
  return file
}

const show = 'echo "wanted=$is_wanted image=$image disk=$disk writes=$writes root=$boot_root"'

test('the kernel arguments are read; unknown ones are named', async t => {
  const words =
    'ro root=UUID=12=34 bootswarm.ticket=T bootswarm.image=a:b bootswarm.disk=/dev/sda bootswarm.wrties=keep'
  const file = await cmdline(t, words)
  const said = await inShell(
    ['arguments'],
    `cmdline=${file}; read_arguments; check_arguments; ${show}`
  )
  t.true(said.includes('wanted=yes image=a:b disk=/dev/sda writes=keep root=UUID=12=34'), said)
  t.regex(said, /say: unknown arguments .*: bootswarm\.wrties=keep/)
})

test('without an argument of ours nothing is wanted', async t => {
  const file = await cmdline(t, 'root=/dev/sda1 ro bootswarm.console=root quiet')
  const said = await inShell(['arguments'], `cmdline=${file}; read_arguments; ${show}`)
  t.true(said.startsWith('wanted= '), said)
})

for (const [words, complaint] of [
  ['bootswarm.image=a', 'there is no bootswarm.ticket='],
  ['bootswarm.ticket=T', 'there is no bootswarm.image='],
  ['bootswarm.ticket=T bootswarm.image=a bootswarm.writes=no', 'is neither keep nor discard'],
  ['bootswarm.ticket=T bootswarm.image=a bootswarm.overlay=1000', 'overlay=1000 is no size'],
  ['bootswarm.ticket=T bootswarm.image=a bootswarm.overlay=1x0M', 'overlay=1x0M is no size'],
  ['bootswarm.ticket=T bootswarm.image=a bootswarm.overlay=0G', 'overlay=0G is no size'],
  ['bootswarm.ticket=T bootswarm.image=a bootswarm.consent=yes', 'is not wipe'],
  ['bootswarm.ticket=T bootswarm.image=a bootswarm.patience=1m', 'is no number of seconds']
] as const) {
  test(`'${words}' is refused`, async t => {
    const file = await cmdline(t, words)
    const said = await inShell(
      ['arguments'],
      `cmdline=${file}; read_arguments; check_arguments && echo taken; true`
    )
    t.true(said.includes('fail: ') && said.includes(complaint), said)
    t.false(said.includes('taken'))
  })
}

test("root= names a part of the image, whatever the machine's own disk is called", async t => {
  const cases = [
    ['/dev/sda', '/dev/mapper/bootswarm'],
    ['/dev/vda2', '/dev/mapper/bootswarm-part2'],
    ['/dev/nvme0n1p3', '/dev/mapper/bootswarm-part3'],
    ['/dev/nvme0n1', '/dev/mapper/bootswarm'],
    ['/dev/vg/root', '/dev/vg/root']
  ] as const
  for (const [named, device] of cases) {
    t.is(await inShell(['root'], `place_in_image ${named}`), `${device}\n`)
  }
})

test('what a machine writes and does not keep has half of the memory that is free, or as much as was said', async t => {
  const kib = async (words: string): Promise<number> => {
    const file = await cmdline(t, `bootswarm.ticket=T bootswarm.image=a ${words}`)
    const lines = `cmdline=${file}; read_arguments; check_arguments && overlay_kib`
    return Number(await inShell(['arguments', 'root'], lines))
  }
  t.is(await kib('bootswarm.overlay=512M'), 512 * 1024)
  t.is(await kib('bootswarm.overlay=3G'), 3 * 1024 * 1024)
  const all = Number(await inShell(['root'], 'memory_kib MemTotal'))
  const half = await kib('')
  t.true(half > 0 && half < all / 2, `${half} of ${all}`)
})

test('what asks DHCP for an address in the root is to be the same client as before, the rest as it was', async t => {
  const tree = await mkdtemp(join(tmpdir(), 'bootswarm-first-stage-'))
  t.teardown(() => rm(tree, { recursive: true }))
  const files = {
    'etc/systemd/network/80-wired.network': 'DHCP=yes',
    'etc/systemd/network/20-lan.network': ' DHCP = ipv4',
    'usr/lib/systemd/network/89-ethernet.network.example': 'DHCP=yes',
    'usr/lib/systemd/network/80-static.network': 'Address=10.0.0.2/24\n# DHCP=yes',
    'usr/lib/systemd/network/80-six.network': 'DHCP=ipv6'
  }
  for (const [path, line] of Object.entries(files)) {
    await mkdir(join(tree, path, '..'), { recursive: true })
    await writeFile(join(tree, path), `[Network]\n${line}\n`)
  }
  // A /run of its own, and of the script only this: the rest of it wants a machine.
  const lines = [
    'busybox mount -t tmpfs none /run',
    `eval "$(sed -n '/^keep_address() {/,/^}/p' ${firstStage}/into-root.sh)"`,
    `keep_address ${tree}`,
    'cd /run/systemd/network; for file in *.d/*; do echo "$file: $(cat "$file")"; done'
  ]
  const said = await run('unshare', ['-m', 'busybox', 'sh', '-c', lines.join('\n')])
  const dropIn = '[Network]\nKeepConfiguration=yes\n[DHCPv4]\nClientIdentifier=mac\n'
  const wanted = ['20-lan', '80-wired'].map(name => `${name}.network.d/bootswarm.conf: ${dropIn}`)
  t.is(said, wanted.join(''))
})

test("NetworkManager is told of the image's own connection for a card, and of one by DHCP where it has none", async t => {
  const tree = await mkdtemp(join(tmpdir(), 'bootswarm-first-stage-'))
  t.teardown(() => rm(tree, { recursive: true }))
  const folder = join(tree, 'etc/NetworkManager/system-connections')
  await mkdir(folder, { recursive: true })
  const connections = {
    'a-wireless': 'type=wifi\nuuid=1',
    'b-of-another': 'type=ethernet\nuuid=2\ninterface-name=eth1',
    'c-of-any': 'type=802-3-ethernet\nuuid=3'
  }
  for (const [name, lines] of Object.entries(connections)) {
    await writeFile(join(folder, name), `[connection]\n${lines}\n`)
  }
  const lines = [
    'busybox mount -t tmpfs none /run',
    ...['connection_of_root', 'write_connection'].map(
      name => `eval "$(sed -n '/^${name}() {/,/^}/p' ${firstStage}/into-root.sh)"`
    ),
    `echo "$(connection_of_root ${tree} eth0) $(connection_of_root ${tree} eth1)"`,
    'write_connection 4 eth0',
    'cd /run/NetworkManager/system-connections && stat -c "%a %n" * && cat *'
  ]
  const said = await run('unshare', ['-m', 'busybox', 'sh', '-c', lines.join('\n')])
  const written = '[connection]\nid=eth0\nuuid=4\ntype=ethernet\ninterface-name=eth0\n'
  const asks = '[ipv4]\nmethod=auto\ndhcp-client-id=mac\n[ipv6]\nmethod=auto\n'
  t.is(said, `3 2\n600 bootswarm-eth0.nmconnection\n${written}${asks}`)
})

test('a disk that was handed over with its writes discarded is known as one, by either copy of its superblock', async t => {
  const size = 160 * 1024 * 1024
  const image = sampleImage(3, 6 * 16384 + 512)
  const device = await loopDevice(t, join(await temporaryDirectory(t), 'disk'), size)
  const known = (): Promise<string> =>
    inShell(['own-disk'], `disk=${device}; discards_writes && echo "$image_bytes"; true`)
  t.is(await known(), '', 'a disk of somebody else')
  const handOver = async (writes: 'keep' | 'discard'): Promise<void> => {
    const disk = await TargetDisk.open(optionsFor(device, image, { writes, force: true }))
    await placeAll(disk, image)
    await disk.finish()
    await disk.markComplete()
    t.is(await known(), '', 'not handed over')
    await disk.handOver()
    await disk.close()
  }
  await handOver('keep')
  t.is(await known(), '', 'its writes are kept')
  await handOver('discard')
  t.is(await known(), `${image.size}\n`)

  const firstAt = Math.ceil(image.size / 4096) * 4096
  const damage = async (at: number): Promise<void> => {
    await using file = await open(device, 'r+')
    await file.write(Buffer.from([1]), 0, 1, at)
  }
  await damage(firstAt + 500)
  t.is(await known(), `${image.size}\n`, 'the second copy')
  await damage(size - 4096 + 500)
  t.is(await known(), '', 'neither')
})

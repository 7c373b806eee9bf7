import { readFile, realpath, writeFile } from 'node:fs/promises'
import { appendArchive, cpioOf } from '../../src/netboot/cpio.ts'
import { run } from '../../test/boot/processes.ts'

// An initramfs whose root is on one NBD server, by the kernel's own client: what a lab uses that has no swarm.

const program = '/usr/sbin/nbd-client'

/** Asks for an address and connects; ipconfig loses its first question on a card that still sleeps. */
function connecting(host: string, port: number): string {
  return `#!/bin/sh
[ "\${1:-}" = prereqs ] && exit 0
. /scripts/functions
for card in /sys/class/net/*; do
  [ -e "$card/device" ] && busybox ip link set "\${card##*/}" up
done
modprobe -q af_packet
configure_networking
modprobe -q nbd nbds_max=1 max_part=0
${program} ${host} ${port} /dev/nbd0 -name ''
echo ROOT=/dev/nbd0 >>/conf/param.conf
`
}

/** As bootswarm does it: with another address the connection would be dead, and the machine with it. */
const keepingAddress = `#!/bin/sh
[ "\${1:-}" = prereqs ] && exit 0
mkdir -p /run/systemd/network/80-wired.network.d
printf '[Network]\\nKeepConfiguration=yes\\n[DHCPv4]\\nClientIdentifier=mac\\n' \\
  >/run/systemd/network/80-wired.network.d/bench.conf
`

const order = (script: string): string =>
  `${script} "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n`

/** Writes an initramfs to `path`: the image's own, with nbd-client in the place of bootswarm. */
export async function makeNbdInitrd(
  initrd: string,
  path: string,
  { host, port }: { host: string; port: number }
): Promise<void> {
  const scripts = {
    'scripts/local-top/bench': connecting(host, port),
    'scripts/local-top/ORDER': order('/scripts/local-top/bench'),
    'scripts/init-bottom/bench': keepingAddress,
    'scripts/init-bottom/ORDER':
      order('/scripts/init-bottom/udev') + order('/scripts/init-bottom/bench')
  }
  const texts = Object.entries(scripts).map(([name, text]) => ({
    path: name,
    mode: 0o755,
    bytes: Buffer.from(text)
  }))
  const files = await Promise.all([program, ...(await librariesOf(program))].map(entryOf))
  // Its folders are links to those below usr.
  const archive = cpioOf([...texts, ...files])
  await writeFile(path, appendArchive(await readFile(initrd), archive))
}

async function librariesOf(path: string): Promise<string[]> {
  const said = await run('ldd', [path])
  return [...said.matchAll(/=> (\/\S+)/g)].map(([, found = '']) => found)
}

async function entryOf(path: string): Promise<{ path: string; mode: number; bytes: Buffer }> {
  const place = path.replace(/^\/(usr\/)?/, 'usr/')
  return { path: place, mode: 0o755, bytes: await readFile(await realpath(path)) }
}

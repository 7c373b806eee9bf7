import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { isExecutable, isReadable } from './files.mjs'
import { SetupError, lastLines, say, step } from './messages.mjs'

/** What a purpose needs: a program that shows whether it is there, and the Debian package it is in. */
const runtimePrograms = []
const demoPrograms = [{ program: 'mke2fs', package: 'e2fsprogs' }]
const testPrograms = [
  ...demoPrograms,
  { program: 'nbdinfo', package: 'libnbd-bin' },
  { program: 'nbdsh', package: 'python3-libnbd' },
  { program: 'qemu-img', package: 'qemu-utils' },
  { program: 'nbdkit', package: 'nbdkit' },
  { program: 'fio', package: 'fio' },
  { program: 'shellcheck', package: 'shellcheck' },
  { program: 'cpio', package: 'cpio' },
  { program: 'zstd', package: 'zstd' },
  { program: 'dnsmasq', package: 'dnsmasq-base' }
]
const bootPrograms = [
  ...testPrograms,
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { file: '/usr/lib/ipxe/qemu/pxe-virtio.rom', package: 'ipxe-qemu' },
  { program: 'busybox', package: 'busybox' },
  { program: 'ip', package: 'iproute2' },
  { program: 'nbd-client', package: 'nbd-client' },
  { program: 'mmdebstrap', package: 'mmdebstrap' },
  { program: 'newuidmap', package: 'uidmap' },
  { file: '/usr/share/OVMF/OVMF_CODE_4M.fd', package: 'ovmf' },
  { file: '/usr/share/keyrings/debian-archive-keyring.gpg', package: 'debian-archive-keyring' },
  { file: '/etc/ssl/certs/ca-certificates.crt', package: 'ca-certificates' }
]
const programsFor = new Map([
  ['runtime', runtimePrograms],
  ['demo', demoPrograms],
  ['test', testPrograms],
  ['boot', bootPrograms]
])

export const purposes = [...programsFor.keys()]

export function missingPrograms(purpose) {
  return programsFor.get(purpose).filter(({ program, file }) => {
    return program === undefined ? !isReadable(file) : findProgram(program) === undefined
  })
}

export function installSystemPrograms(purpose) {
  const missing = missingPrograms(purpose)
  if (missing.length === 0) return
  const packages = missing.map(entry => entry.package)
  const names = missing.map(entry => entry.program ?? entry.file).join(', ')
  const apt = findProgram('apt-get')
  if (process.getuid() !== 0 || apt === undefined) {
    throw new SetupError(
      `missing: ${names}. Install with:\nsudo apt-get install -y --no-install-recommends ${packages.join(' ')}`
    )
  }
  step(`installing ${packages.join(' ')}`, () => installPackages(apt, packages))
  const stillMissing = missingPrograms(purpose)
  if (stillMissing.length > 0) {
    const left = stillMissing.map(entry => entry.program ?? entry.file).join(', ')
    throw new SetupError(`apt-get installed ${packages.join(' ')}, and there is still no ${left}`)
  }
}

function installPackages(apt, packages) {
  const update = runApt(apt, ['update'])
  // One broken third-party source fails the update as a whole; the lists that count may be there.
  if (update.status !== 0) say('apt-get update failed; trying with the lists at hand')
  const install = runApt(apt, ['install', '-y', '--no-install-recommends', ...packages])
  if (install.status === 0) return
  const why = lastLines(`${update.status === 0 ? '' : update.output}${install.output}`)
  throw new SetupError(`apt-get install ${packages.join(' ')} failed:\n${why}`)
}

function runApt(apt, args) {
  const result = spawnSync(apt, ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024
  })
  if (result.error !== undefined) throw new SetupError(`${apt}: ${result.error.message}`)
  return { status: result.status, output: result.stdout + result.stderr }
}

/** Programs for the administrator (mke2fs) are not on every user's PATH. */
function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map(folder => join(folder, name)).find(isExecutable)
}

import { BootswarmError } from '../base/index.ts'
import type { BootFiles } from './boot-folder.ts'
import type { MachineSettings } from './machine-settings.ts'

// Scripts for iPXE (ipxe.org/scripting), which loads them by HTTP. What goes into them has been checked
// by whoever calls: nothing here can end a line or be expanded.

/** How long one who sends nothing is waited for before the next is asked; iPXE's own is minutes. */
const peerQuietMs = 5_000
/** The last resort may be busy with a whole rack: whoever waits for their turn there stays in line. */
const serverQuietMs = 60_000
const retrySeconds = 10
/** With hyphens: what comes before a first colon iPXE takes for the scheme of an address. */
const ownPath = '/machine.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid}'
/** Linux on x86; one byte is its end. */
const commandLineBytesMax = 2_047

/** The same for every machine: asks for its own. Addresses are relative to where this came from. */
export function entryScript(): string {
  return script([
    'echo bootswarm: asking what machine ${netX/mac} shall boot',
    ':ask',
    `chain --replace ${ownPath} || echo bootswarm: no answer`,
    `sleep ${retrySeconds}`,
    'goto ask'
  ])
}

export interface DeployInit {
  /** How the machine is known, for people. */
  readonly id: string
  readonly settings: Pick<MachineSettings, 'image' | 'disk'> & Partial<MachineSettings>
  readonly ticket: string
  readonly files: BootFiles
  /** `http://HOST:PORT` of who answers this machine now, and of machines near it that have a file. */
  readonly server: string
  readonly peersWith: (fileName: string) => readonly string[]
}

/** Loads kernel and first stage, from machines near by first, and starts them. ERR_USAGE if too long. */
export function deployScript(init: DeployInit): string {
  const { id, settings, files } = init
  const fetch = (command: string, as: string, { name }: { readonly name: string }): string => {
    const from = (url: string, quietMs: number): string =>
      `${command} --name ${as} --timeout ${quietMs} ${url}/${name}`
    const near = init.peersWith(name).map(url => from(url, peerQuietMs))
    return [...near, from(init.server, serverQuietMs), 'goto failed'].join(' || ')
  }
  return script([
    `echo bootswarm: machine ${id} gets ${settings.image}`,
    fetch('kernel', 'kernel', files.kernel),
    fetch('initrd', 'initrd', files.firstStage),
    `imgargs kernel ${kernelArguments(init)} || goto failed`,
    'boot || goto failed',
    ...again('kernel or first stage did not load')
  ])
}

/** Boots what the machine has on its first disk; firmware of UEFI goes on to it by itself. */
export function localScript(id: string): string {
  return script([
    `echo bootswarm: machine ${id} has its image, booting from its disk`,
    'iseq ${platform} efi && exit 0 ||',
    'sanboot --no-describe --drive 0x80 || goto failed',
    ...again('the disk does not boot')
  ])
}

/** Says why a machine gets nothing, and asks again after a while. */
export function refusalScript(why: string): string {
  return script(['goto failed', ...again(why)])
}

function again(why: string): string[] {
  return [
    ':failed',
    `echo bootswarm: ${why}; trying again in ${retrySeconds} s`,
    'imgfree ||',
    `sleep ${retrySeconds}`,
    `chain --replace ${ownPath} || goto failed`
  ]
}

function kernelArguments({ settings, ticket, files, server, peersWith }: DeployInit): string {
  const { image, disk, writes = 'keep', consent = 'none', name, append } = settings
  const from = [...peersWith(files.archive.name), server].join(',')
  const words = [
    // Firmware of UEFI finds it by this name.
    'initrd=initrd',
    append,
    'ip=dhcp',
    `bootswarm.image=${image}`,
    `bootswarm.disk=${disk}`,
    `bootswarm.writes=${writes}`,
    consent === 'none' ? undefined : `bootswarm.consent=${consent}`,
    name === undefined ? undefined : `bootswarm.name=${name}`,
    `bootswarm.archive=${files.archive.sha256}`,
    `bootswarm.from=${from}`,
    `bootswarm.ticket=${ticket}`
  ]
  // Whoever appends an ip= of their own means it.
  const isAddressed = append !== undefined && /(^| )ip=/.test(append)
  const line = words
    .filter(word => word !== undefined && !(isAddressed && word === 'ip=dhcp'))
    .join(' ')
  if (line.length <= commandLineBytesMax) return line
  throw new BootswarmError(
    'ERR_USAGE',
    `the kernel arguments have ${line.length} bytes, and Linux takes ${commandLineBytesMax}; shorten --append`
  )
}

function script(lines: readonly string[]): string {
  return ['#!ipxe', ...lines, ''].join('\n')
}

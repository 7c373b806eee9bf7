import { writeFile } from 'node:fs/promises'
import type { ExecutionContext } from 'ava'
import type { BuiltImage } from './image.ts'
import { type RunningProcess, sameAddresses, start } from './processes.ts'

export interface GuestOptions {
  image: BuiltImage
  /** Unix socket of the NBD server that has the guest's root disk. */
  nbdSocket: string
  /** QEMU records every write of the guest here; see write-log.ts. */
  writeLog: string
  /** The serial console goes here. */
  consoleFile: string
}

/** A virtual machine that boots from an NBD socket and is used over its serial console. */
export class Guest {
  readonly #qemu: RunningProcess
  #consoleRead = 0

  constructor(qemu: RunningProcess) {
    this.#qemu = qemu
  }

  /** Waits for text on the console, after what was waited for before. */
  async waitForText(text: string, timeoutMs: number): Promise<void> {
    this.#consoleRead = await this.#qemu.waitFor(`"${text}"`, timeoutMs, output => {
      const at = output.indexOf(text, this.#consoleRead)
      return at < 0 ? undefined : at + text.length
    })
  }

  async logIn(): Promise<void> {
    this.#qemu.type('root\n')
    await this.waitForText('root@debian:~# ', 180_000)
  }

  /** Types text as it is; nobody waits for what comes of it. */
  type(text: string): void {
    this.#qemu.type(text)
  }

  /** Runs a shell command and waits for its end; rejects when it fails. */
  async runCommand(command: string, timeoutMs: number): Promise<void> {
    // The console echoes what is typed, so the line that tells the end must look otherwise there.
    this.#qemu.type(`${command} && echo command'-'succeeded\n`)
    await this.waitForText('command-succeeded', timeoutMs)
    await this.waitForText('root@debian:~# ', timeoutMs)
  }

  /** Shuts the system down in order; resolves to QEMU's exit code once the machine is off. */
  async powerOff(timeoutMs: number): Promise<number | string> {
    this.#qemu.type('poweroff\n')
    return this.#qemu.ended(timeoutMs)
  }
}

export async function startGuest(t: ExecutionContext, options: GuestOptions): Promise<Guest> {
  const { image, nbdSocket, writeLog, consoleFile } = options
  await writeFile(writeLog, '')
  // Software emulation only: the test is to run on machines without KVM, and alike on all of them.
  const machine = ['-machine', 'q35,accel=tcg', '-cpu', 'max', '-smp', '1', '-m', '1024']
  const outside = ['-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'stdio']
  const kernel = ['-kernel', image.kernel, '-initrd', image.initrd, '-no-reboot']
  const commandLine = `root=/dev/vda ro console=ttyS0 panic=-1 bootswarm.console=root ${sameAddresses}`
  const disk = [
    `driver=nbd,node-name=agent,server.type=unix,server.path=${nbdSocket}`,
    `driver=file,node-name=write-log,filename=${writeLog}`,
    'driver=blklogwrites,node-name=disk,file=agent,log=write-log'
  ].flatMap(node => ['-blockdev', node])
  const device = ['-device', 'virtio-blk-pci,drive=disk']
  const args = [...machine, ...outside, ...kernel, '-append', commandLine, ...disk, ...device]
  return new Guest(start(t, 'QEMU', 'qemu-system-x86_64', args, consoleFile))
}

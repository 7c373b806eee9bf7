import { copyFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import type { ExecutionContext } from 'ava'
import { type RunningProcess, run, start } from './processes.ts'

export const mib = 1024 ** 2

const firmwareCode = '/usr/share/OVMF/OVMF_CODE_4M.fd'
const firmwareVariables = '/usr/share/OVMF/OVMF_VARS_4M.fd'

export interface OwnDiskOptions {
  /** Changed by the machine. */
  disk: string
  firmware: 'BIOS' | 'UEFI'
  /** The serial console goes here; files of the same name with an ending are made beside it. */
  consoleFile: string
}

/** A machine that has nothing but its disk: no kernel from outside and no network. */
export class OwnDiskMachine {
  readonly #qemu: RunningProcess
  readonly #monitor: string

  private constructor(qemu: RunningProcess, monitor: string) {
    this.#qemu = qemu
    this.#monitor = monitor
  }

  static async start(t: ExecutionContext, options: OwnDiskOptions): Promise<OwnDiskMachine> {
    const { disk, firmware, consoleFile } = options
    const monitor = `${consoleFile}.monitor`
    // Software emulation only: the test is to run on machines without KVM, and alike on all of them. A processor without
    // AVX, whose emulation is slow.
    const machine = ['-machine', 'q35,accel=tcg', '-cpu', 'Westmere', '-smp', '1', '-m', '1024']
    const outside = ['-nic', 'none', '-display', 'none', '-serial', 'stdio', '-no-reboot']
    const control = ['-monitor', `unix:${monitor},server=on,wait=off`]
    const drive = ['-drive', `file=${disk},format=raw,if=none,id=disk`]
    const device = ['-device', 'ahci,id=ahci', '-device', 'ide-hd,drive=disk,bus=ahci.0']
    const args = [...machine, ...outside, ...control, ...drive, ...device]
    if (firmware === 'UEFI') args.push(...(await uefi(`${consoleFile}.variables`)))
    return new OwnDiskMachine(start(t, 'QEMU', 'qemu-system-x86_64', args, consoleFile), monitor)
  }

  /** All that the serial console has shown so far. */
  get console(): string {
    return this.#qemu.output
  }

  async waitForText(text: string, timeoutMs: number): Promise<void> {
    await this.#qemu.waitFor(`"${text}"`, timeoutMs, output => output.includes(text) || undefined)
  }

  /** Presses the power button; resolves to QEMU's exit code once the system has shut down. */
  async pressPowerButton(timeoutMs: number): Promise<number | string> {
    const monitor = createConnection(this.#monitor, () => monitor.write('system_powerdown\n'))
    monitor.resume()
    const code = await this.#qemu.ended(timeoutMs)
    monitor.destroy()
    return code
  }
}

async function uefi(variables: string): Promise<string[]> {
  await copyFile(firmwareVariables, variables)
  return [
    `if=pflash,format=raw,readonly=on,file=${firmwareCode}`,
    `if=pflash,format=raw,file=${variables}`
  ].flatMap(drive => ['-drive', drive])
}

/** A file of an ext4 file system that begins at an offset of a disk, in bytes. */
export async function readFileAt(disk: string, offset: number, path: string): Promise<string> {
  return run('debugfs', ['-R', `cat ${path}`, `${disk}?offset=${offset}`])
}

export async function checkFileSystemAt(disk: string, offset: number): Promise<void> {
  await run('e2fsck', ['-fn', `${disk}?offset=${offset}`])
}

import { randomBytes } from 'node:crypto'
import { Guest } from '../guest.ts'
import { start, type Life, type RunningProcess } from '../processes.ts'
import type { Cable, LabNetwork } from './network.ts'

export interface MachineOptions {
  /** QEMU's `-drive` for its disk, without `if=`. */
  readonly drive: string
  readonly consoleFile: string
  /** Otherwise it boots as the network says. */
  readonly kernel?: { readonly file: string; readonly initrd: string; readonly arguments: string }
  /** Without one it has no network card. */
  readonly network?: LabNetwork
  readonly memoryMiB?: number
  readonly processors?: number
  readonly mac?: string
}

/** A bare machine: switched on, used over its serial console, and its power cut. */
export class Machine {
  readonly guest: Guest
  readonly #qemu: RunningProcess
  readonly #cable: Cable | undefined

  private constructor(qemu: RunningProcess, cable: Cable | undefined) {
    this.#qemu = qemu
    this.#cable = cable
    this.guest = new Guest(qemu)
  }

  static async start(t: Life, options: MachineOptions): Promise<Machine> {
    const { drive, consoleFile, kernel, network, memoryMiB = 1024, mac = randomMac() } = options
    const { processors = 1 } = options
    // No AVX, whose emulation is slow, and no protection keys, with which Node 24 was seen to trap.
    const hardware = [
      '-machine',
      'q35,accel=tcg',
      '-cpu',
      'Westmere',
      '-smp',
      String(processors),
      '-m',
      String(memoryMiB)
    ]
    const outside = ['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot']
    const cable = await network?.plug()
    const card = cable === undefined ? ['-nic', 'none'] : cardOn(cable, mac)
    const disk = [
      '-drive',
      `if=none,id=disk,${drive}`,
      '-device',
      'virtio-blk-pci,drive=disk,serial=lab'
    ]
    const direct =
      kernel === undefined
        ? ['-boot', 'n']
        : ['-kernel', kernel.file, '-initrd', kernel.initrd, '-append', kernel.arguments]
    const args = [...hardware, ...outside, ...card, ...disk, ...direct]
    const place = network ?? bare(t)
    return new Machine(place.start('QEMU', 'qemu-system-x86_64', args, consoleFile), cable)
  }

  /** Waits for text on the console, but not when the machine says that it is stuck. */
  async shows(text: string, timeoutMs = 600_000): Promise<void> {
    await this.#qemu.waitFor(`"${text}"`, timeoutMs, output => {
      if (output.includes(text)) return true
      if (/CANNOT START|\(initramfs\)|Kernel panic|emergency mode/.test(output)) {
        throw new Error(`the machine is stuck before it shows "${text}"`)
      }
      return undefined
    })
  }

  get console(): string {
    return this.#qemu.output
  }

  /** As if somebody pulled the plug. */
  async cutPower(): Promise<void> {
    this.#qemu.kill()
    await this.#qemu.ended(60_000)
  }

  /** As if somebody pulled the cable of its network card out of the switch. */
  async unplug(): Promise<void> {
    await this.#cable?.unplug()
  }

  async plugIn(): Promise<void> {
    await this.#cable?.plugIn()
  }

  /** What the machine gets from now on goes no faster than this, in tc's words: `4mbit`. */
  async slowDown(rate: string): Promise<void> {
    await this.#cable?.slowDown(rate)
  }

  ended(timeoutMs: number): Promise<number | string> {
    return this.#qemu.ended(timeoutMs)
  }
}

function cardOn({ tap }: Cable, mac: string): string[] {
  const netdev = `tap,id=lab,ifname=${tap},script=no,downscript=no`
  return ['-netdev', netdev, '-device', `virtio-net-pci,netdev=lab,mac=${mac}`]
}

function randomMac(): string {
  return ['52:54:00', ...(randomBytes(3).toString('hex').match(/../g) ?? [])].join(':')
}

function bare(t: Life): Pick<LabNetwork, 'start'> {
  return { start: (name, command, args, outputFile) => start(t, name, command, args, outputFile) }
}

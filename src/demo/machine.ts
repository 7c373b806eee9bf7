import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { NbdClient, parseNbdAddress } from '../nbd/index.ts'
import type { ImageRead } from './boot-reads.ts'
import { firstDifference, overlay, type Written } from './compare.ts'
import { Child } from './processes.ts'

/** One row of the demo's table. */
export interface MachineResult {
  readonly machine: string
  /** From the start of the agent's process, as all times here. */
  readonly secondsToFirstRead: number
  readonly secondsToBoot: number
  readonly secondsToComplete: number
  readonly bytesFromSeed: number
  readonly bytesFromPeers: number
  readonly verdict: 'verified' | 'DIFFERS'
}

export interface MachineInit {
  readonly name: string
  readonly folder: string
  readonly ticket: string
  readonly image: string
  readonly imagePath: string
  readonly reads: readonly ImageRead[]
  readonly signal: AbortSignal
}

/** What each machine writes, and into how many of the places that its boot reads. */
const writeBytes = 6_000
const writeEvery = 40

/** An agent process, and what a machine would do with the disk that it shows. */
export class DemoMachine {
  readonly child: Child
  readonly #init: MachineInit
  readonly #diskPath: string
  readonly #socketPath: string
  readonly #written: Written[] = []

  constructor(init: MachineInit) {
    this.#init = init
    this.#diskPath = join(init.folder, `${init.name}.disk`)
    this.#socketPath = join(init.folder, `${init.name}.sock`)
    const { name, ticket, image } = init
    this.child = new Child(name, [
      'agent',
      ...['--ticket', ticket, '--image', image, '--name', name],
      ...['--disk', this.#diskPath, '--nbd', `unix:${this.#socketPath}`],
      ...['--listen', '/ip4/127.0.0.1/tcp/0']
    ])
  }

  async run(): Promise<MachineResult> {
    const { signal, imagePath, name } = this.#init
    await this.child.until('ready', signal)
    const boot = await this.#boot()
    const complete = await this.child.until('complete', signal)
    const difference = await firstDifference(this.#diskPath, imagePath, this.#written)
    return {
      machine: name,
      ...boot,
      secondsToComplete: Number(complete.seconds),
      bytesFromSeed: Number(complete.bytesFromSeed),
      bytesFromPeers: Number(complete.bytesFromPeers),
      verdict: difference === undefined && complete.verified === true ? 'verified' : 'DIFFERS'
    }
  }

  /** Reads as a boot does, checks every byte, and writes into what it has read. */
  async #boot(): Promise<{ secondsToFirstRead: number; secondsToBoot: number }> {
    const { reads, imagePath, signal, name } = this.#init
    const disk = await NbdClient.connect(parseNbdAddress(`unix:${this.#socketPath}`))
    await using image = await open(imagePath, 'r')
    let secondsToFirstRead = 0
    for (const [index, { offset, length }] of reads.entries()) {
      signal.throwIfAborted()
      const actual = await disk.read(offset, length)
      if (index === 0) secondsToFirstRead = this.#seconds()
      const expected = Buffer.alloc(length)
      await image.read(expected, 0, length, offset)
      overlay(expected, offset, this.#written)
      if (!actual.equals(expected)) throw new Error(`${name} read wrong bytes at ${offset}`)
      if (index % writeEvery === writeEvery - 1) await this.#write(disk, offset)
    }
    await disk.flush()
    await disk.close()
    return { secondsToFirstRead, secondsToBoot: this.#seconds() }
  }

  async #write(disk: NbdClient, near: number): Promise<void> {
    // Neither whole blocks nor aligned, so that part of a block has to be merged with the image's.
    const offset = Math.min(near + 512, disk.size - writeBytes)
    const data = Buffer.alloc(writeBytes, `${this.#init.name} was here at ${offset}. `)
    await disk.write(offset, data)
    this.#written.push({ offset, data })
  }

  #seconds(): number {
    return (performance.now() - this.child.startedAt) / 1000
  }
}

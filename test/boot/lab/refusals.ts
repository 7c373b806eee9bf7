import { open } from 'node:fs/promises'
import type { ExecutionContext } from 'ava'
import { Lab } from './lab.ts'

// What goes wrong before there is a root is said on the screen, with what to do, and in time; then there is a shell.

const minuteMs = 60_000
const MiB = 1024 * 1024

interface Refusal {
  readonly what: string
  readonly changed?: Readonly<Record<string, string>>
  /** A ticket that is good for so long. */
  readonly ticketFor?: string
  readonly diskBytes?: number
  readonly isUsed?: boolean
  readonly hasDhcp?: boolean
  readonly says: RegExp
  readonly advises: RegExp
}

const refusals: readonly Refusal[] = [
  {
    what: 'a wrong ticket',
    changed: { 'bootswarm.ticket': 'bootswarm1-nonsense' },
    says: /ticket/,
    advises: /bootswarm ticket --store/
  },
  {
    what: 'a ticket that has ended',
    ticketFor: '1s',
    says: /ticket/,
    advises: /bootswarm ticket --store/
  },
  {
    what: 'an unknown image',
    changed: { 'bootswarm.image': 'no-such-image' },
    says: /no-such-image/,
    advises: /bootswarm image list/
  },
  {
    what: 'a disk that is too small',
    diskBytes: 64 * MiB,
    says: /\/dev\/vda/,
    advises: /larger/
  },
  {
    what: 'foreign data without consent',
    isUsed: true,
    says: /\/dev\/vda/,
    advises: /bootswarm\.consent=wipe/
  },
  {
    what: 'nobody who has the agent',
    changed: { 'bootswarm.from': 'http://10.77.0.1:9', 'bootswarm.patience': '5' },
    says: /nobody has the agent archive .*asked http:\/\/10\.77\.0\.1:9/,
    advises: /bootswarm netboot serve/
  },
  {
    what: 'no DHCP server',
    changed: { 'bootswarm.patience': '20' },
    hasDhcp: false,
    says: /nobody gave this machine an address within 20 seconds/,
    advises: /DHCP server/
  }
]

/** Boots a machine into each of them. */
export async function refuseAll(t: ExecutionContext): Promise<void> {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  for (const [index, refusal] of refusals.entries()) {
    const disk = await lab.emptyDisk(`machine-${index}`, refusal.diskBytes)
    if (refusal.isUsed === true) {
      await using file = await open(disk, 'r+')
      await file.write(Buffer.alloc(MiB, 'somebody needs this'), 0, MiB, 0)
    }
    if (refusal.hasDhcp === false) lab.network.stopDhcp()
    const { kernel, initrd } = lab.image
    const ticket: Record<string, string> =
      refusal.ticketFor === undefined
        ? {}
        : { 'bootswarm.ticket': await lab.makeTicket('--ttl', refusal.ticketFor) }
    const machine = await lab.startMachine({
      drive: `file=${disk},format=raw`,
      network: lab.network,
      kernel: { file: kernel, initrd, arguments: lab.arguments({ ...refusal.changed, ...ticket }) }
    })
    await machine.guest.waitForText('CANNOT START THIS MACHINE: ', 5 * minuteMs)
    await machine.guest.waitForText('(initramfs)', 2 * minuteMs)
    const [, why = ''] = /CANNOT START THIS MACHINE: (.*)/.exec(machine.console) ?? []
    const [, advice = ''] = /WHAT TO DO: (.*)/.exec(machine.console) ?? []
    lab.note(`${refusal.what}: ${why} | ${advice}`)
    t.regex(why, refusal.says, refusal.what)
    t.regex(advice, refusal.advises, refusal.what)
    await machine.cutPower()
  }
}

import type { AgentEvent, DeviceEvent } from '../observe/index.ts'
import { formatBytes } from './formats.ts'
import { printLine, printNote } from './output.ts'

/** Whether what an agent says is of its device. */
export function isOfDevice(event: AgentEvent): event is DeviceEvent {
  return ['attached', 'lost', 'reconnected'].includes(event.event)
}

/** To people: what becomes of a device of this machine that an agent serves. */
export function sayOfDevice(event: DeviceEvent): void {
  if (event.event === 'attached') {
    printLine(`${event.device} has ${formatBytes(event.size)} of ${event.nbd}`)
  }
  if (event.event === 'lost') printNote('no agent answers; the device waits for one')
  if (event.event === 'reconnected') printNote('an agent answers again, and the device goes on')
}

import type { AgentEvent } from '../observe/index.ts'
import { isOfDevice, sayOfDevice } from './device-news.ts'
import { formatBytes } from './formats.ts'
import { unreachableText } from './location.ts'
import { printLine, printNote } from './output.ts'
import { startProgress, type Progress } from './progress.ts'

/** What an agent says without --json: lines, notes and bars. */
export function sayToPeople(): (event: AgentEvent) => void {
  let size = 0
  let isComplete = false
  let progress: Progress | undefined
  let scan: Progress | undefined
  return event => {
    if (event.event !== 'progress') progress?.end()
    if (isOfDevice(event)) return sayOfDevice(event)
    switch (event.event) {
      case 'ready':
        size = event.size
        printLine(`${event.name}: ${formatBytes(size)} ready at ${event.nbd}`)
        return
      case 'progress':
        if (isComplete) return
        progress ??= startProgress('streaming', false)
        progress.update(event.present * size, size)
        return
      case 'scanning':
        scan ??= startProgress('reading what the disk holds', false)
        scan.update(event.bytesDone, event.size)
        if (event.bytesDone === event.size) scan.end()
        return
      case 'present':
        printLine(presentText(event))
        return
      case 'handed-over':
      case 'unshared':
        printLine(leftText(event.event))
        return
      case 'complete':
        isComplete = true
        printLine(`complete and verified after ${event.seconds} s`)
        return
      case 'unreachable':
      case 'name-kept':
      case 'starved':
      case 'fed':
      case 'stalled':
      case 'full':
      case 'room':
      case 'given-up':
      case 'newer':
      case 'unknown':
      case 'foreseen':
        printNote(remarkOf(event))
        return
      case 'booted':
      case 'stopped':
      case 'error':
        // The command ends; errors are printed where all are.
        return
    }
  }
}

function leftText(event: 'handed-over' | 'unshared'): string {
  return event === 'handed-over'
    ? 'the machine has its disk: the NBD socket is closed'
    : 'the disk is complete and no longer shared with peers, as --share asked'
}

type Remark =
  | 'unreachable'
  | 'name-kept'
  | 'starved'
  | 'fed'
  | 'stalled'
  | 'full'
  | 'room'
  | 'given-up'
  | 'newer'
  | 'unknown'
  | 'foreseen'

function remarkOf(event: Extract<AgentEvent, { event: Remark }>): string {
  switch (event.event) {
    case 'unreachable':
      return unreachableText(event.addresses, event.why)
    case 'name-kept':
      return `this machine is still called ${event.name}: no other name was signed (${event.why}); for that start it with --name and a ticket that is valid, while a seed runs`
    case 'starved':
      return `${event.reads} reads wait: nobody can deliver their chunks; still trying`
    case 'fed':
      return `reads are answered again, after ${event.waited} s`
    case 'stalled':
      return stalledText(event.chunks, event.answers)
    case 'full':
      return 'the file system of the target disk is full; streaming waits for room there'
    case 'room':
      return 'there is room on the target disk again; streaming goes on'
    case 'given-up':
      return `no room to keep ${event.chunks} chunks that the machine wrote into for peers`
    case 'newer':
      return `${event.name} is now ${event.image}; to switch this disk to it add --redeploy`
    case 'unknown':
      return `the seed knows no image ${event.name}; this disk goes on with ${event.image}`
    case 'foreseen':
      return `${event.chunks} chunks that ${event.reports} boots read come first`
  }
}

function stalledText(chunks: number, answers: readonly string[]): string {
  const why = answers.length > 0 ? answers.join(', ') : 'nothing'
  return `${chunks} chunks are missing and nobody sends them (answers: ${why}); 'bootswarm image verify' on the seed says whether its store is whole`
}

function presentText(event: Extract<AgentEvent, { event: 'present' }>): string {
  const [seeds, peers] = [formatBytes(event.bytesFromSeed), formatBytes(event.bytesFromPeers)]
  return `every chunk is here after ${event.seconds} s: ${seeds} from seeds, ${peers} from peers; verifying`
}

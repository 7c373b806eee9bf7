import { cp, rm } from 'node:fs/promises'
import { seededRandom } from '../../src/base/index.ts'
import { NbdClient } from '../../src/nbd/index.ts'
import type { LabProcess } from './processes.ts'
import type { Run } from './run.ts'
import { dataPositions, type Subject } from './subject.ts'
import { chunksTouched } from './trace.ts'

// One earlier boot of the image, from which the seed learns its boot profile.

export interface Teacher {
  readonly agent: LabProcess
  readonly socket: string
  readonly disk: string
}

const readBytes = 4096
const seed = 1

/** The same subject in a store of its own, for a seed that learns. */
export async function subjectWith(subject: Subject, profile: number | undefined): Promise<Subject> {
  if (profile === undefined) return subject
  const storePath = `${subject.storePath}-profile-${profile}`
  await cp(subject.storePath, storePath, { recursive: true, force: false })
  return { ...subject, storePath }
}

/** The chunks that the boot touches, in its order; all but `share` of them others in their place. */
export async function lessonOf(subject: Subject, share: number): Promise<number[]> {
  const { trace, chunkSize, imagePath } = subject
  const boot = chunksTouched(trace.reads, chunkSize)
  if (share >= 1) return boot
  const random = seededRandom(seed)
  const all = await dataPositions(imagePath, chunkSize)
  const other = (): number => all[Math.floor(random.next() * all.length)] ?? 0
  return boot.map(position => (random.next() < share ? position : other()))
}

/** Reads as the lesson says, and resolves when the machine has reported it and is gone. */
export async function teach(run: Run, share: number, { agent, socket, disk }: Teacher) {
  const { chunkSize, size } = run.subject
  const lesson = await lessonOf(run.subject, share)
  await agent.until('ready', run.signal)
  const client = await NbdClient.connect({ kind: 'unix', path: socket })
  for (const position of lesson) {
    const offset = position * chunkSize
    await client.read(offset, Math.min(readBytes, size - offset))
  }
  await client.close()
  const { chunks } = await agent.until('booted', run.signal)
  run.note(`one boot has taught the seed ${String(chunks)} chunks`)
  await agent.stop()
  await rm(disk, { force: true })
  await rm(`${disk}.bootswarm`, { force: true })
}

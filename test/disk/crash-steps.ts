import type { Random } from '../../src/base/index.ts'
import { sectorBytes } from './crashing-storage.ts'

/** What may happen to a disk. `wait`: the next step comes when it has ended, if it can end by itself. */
export type Step =
  | { kind: 'write' | 'fua' | 'zero'; at: number; length: number; wait: boolean }
  | { kind: 'trim'; at: number; length: number }
  | { kind: 'read'; at: number; length: number; wait: boolean }
  | { kind: 'place'; chunk: number; wait: boolean }
  | { kind: 'flush' | 'finish' | 'verify'; wait: boolean }
  | { kind: 'distrust'; chunk: number }
  | { kind: 'bring-all' | 'reopen' }
  | { kind: 'killed' | 'power-loss'; after: number }

const weights: [Step['kind'], number][] = [
  ['write', 9],
  ['fua', 2],
  ['zero', 2],
  ['trim', 1],
  ['read', 3],
  ['place', 6],
  ['flush', 5],
  ['finish', 1],
  ['verify', 1],
  ['distrust', 1],
  ['bring-all', 1],
  ['reopen', 1],
  ['killed', 1],
  ['power-loss', 2]
]
const weightSum = weights.reduce((sum, [, weight]) => sum + weight, 0)

export interface Shape {
  readonly size: number
  readonly chunkSize: number
}

/** A life of a disk, always the same from the same numbers. */
export function randomSteps(random: Random, shape: Shape): Step[] {
  return Array.from({ length: 5 + below(random, 60) }, () => randomStep(random, shape))
}

function randomStep(random: Random, shape: Shape): Step {
  const kind = randomKind(random)
  const wait = random.next() < 0.5
  switch (kind) {
    case 'write':
    case 'fua':
    case 'zero':
    case 'read':
      return { kind, at: randomPlace(random, shape), length: randomLength(random, shape), wait }
    case 'trim':
      return { kind, at: randomPlace(random, shape), length: randomLength(random, shape) }
    case 'place':
      return { kind, chunk: below(random, Math.ceil(shape.size / shape.chunkSize)), wait }
    case 'distrust':
      return { kind, chunk: below(random, Math.ceil(shape.size / shape.chunkSize)) }
    case 'flush':
    case 'finish':
    case 'verify':
      return { kind, wait }
    case 'killed':
    case 'power-loss':
      return { kind, after: below(random, 30) }
    case 'bring-all':
    case 'reopen':
      return { kind }
  }
}

function randomKind(random: Random): Step['kind'] {
  let rest = random.next() * weightSum
  for (const [kind, weight] of weights) if ((rest -= weight) < 0) return kind
  return 'write'
}

function randomPlace(random: Random, { size }: Shape): number {
  const choice = random.next()
  if (choice < 0.3) return below(random, size)
  if (choice < 0.6) return below(random, Math.ceil(size / 4096)) * 4096
  // Where much happens at once: the sectors of a few blocks.
  return below(random, 40) * sectorBytes
}

function randomLength(random: Random, { chunkSize }: Shape): number {
  const choice = random.next()
  if (choice < 0.4) return 4096
  if (choice < 0.6) return sectorBytes
  if (choice < 0.8) return 1 + below(random, 600)
  return 1 + below(random, 3 * chunkSize)
}

function below(random: Random, end: number): number {
  return Math.floor(random.next() * end)
}

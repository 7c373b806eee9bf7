import type { Random, RequestClass } from '../../src/base/index.ts'
import { Fetching } from '../../src/scheduler/fetching.ts'
import { Serving } from '../../src/scheduler/serving.ts'

export interface Upload {
  readonly to: LabNode
  readonly item: number
  class: RequestClass
  /** The other side knows that it will be served. */
  accepted: boolean
}

/** A machine of the lab: the real scheduler, and what it has to do. */
export class LabNode {
  readonly id: string
  readonly role: 'seed' | 'agent'
  readonly held = new Set<number>()
  readonly links = new Set<LabNode>()
  readonly serving: Serving
  readonly fetching: Fetching
  /** item → of whom it is asked. */
  readonly out = new Map<number, LabNode>()
  /** item → who has promised it as soon as it is there itself. */
  readonly waitsFor = new Map<number, LabNode>()
  /** What peers said in vain that they have: `peer item` → how often. */
  readonly notHeld = new Map<string, number>()
  waiting: Upload[] = []
  queue: Upload[] = []
  sending: Upload | undefined
  /** Those who take one more of whatever there is. */
  takers: LabNode[] = []
  news: number[] = []
  dead = false
  /** Items sent, by item. */
  readonly sent = new Map<number, number>()

  constructor(id: string, role: 'seed' | 'agent', items: number, random: Random) {
    this.id = id
    this.role = role
    this.serving = new Serving(role)
    // Here each item is out once, so that whoever is asked twice is asked by mistake.
    this.fetching = new Fetching({ itemCount: items, random, mechanisms: { hedging: false } })
  }
}

import { AgentNode } from './agent-node.ts'
import { Checkers, type Violation } from './checkers.ts'
import { Processor } from './processor.ts'
import { SeedNode } from './seed-node.ts'
import { bytesOf, type SimImage } from './sim-image.ts'
import type { SimNode } from './sim-node.ts'
import { World, type WorldOptions } from './world.ts'

export interface LabOptions extends WorldOptions {
  readonly agents: number
  readonly seeds: number
  readonly mbit: number
  readonly seedMbit: number
  /** Cores that all nodes share, as in a lab on one computer; 0 for one each. */
  readonly cores: number
  /** Machines start within this time. */
  readonly spreadMs: number
  readonly stragglers: number
  readonly stragglerMbit: number
  /** Machines that fail in the middle, half of them by losing their line. */
  readonly lost: number
  readonly lostAtMs: number
  /** Machines that start this much later. */
  readonly late: number
  readonly lateMs: number
  readonly liars: number
  readonly mutes: number
  /** The seeds fail then; 0 for never. */
  readonly seedDiesMs: number
  readonly seedReturnsMs: number
  readonly endMs: number
  /** Copies of the image that the seeds may send. */
  readonly seedCopiesMax: number
}

export interface LabResult {
  readonly lastMs: number
  readonly medianMs: number
  readonly stragglerMs: number
  readonly done: number
  readonly expected: number
  /** Chunks that the living machine with the fewest has, and that all living nodes together have. */
  readonly heldMin: number
  readonly heldUnion: number
  readonly seedBytes: number
  /** Of the image's frames. */
  readonly seedCopies: number
  /** Of the frames of what a boot reads. */
  readonly seedBootSets: number
  readonly urgentMs: { readonly p50: number; readonly p95: number; readonly max: number }
  readonly stillMsMax: number
  /** Messages that a seed received in its busiest second, a machine. */
  readonly seedMessagesPeak: number
  readonly linksMax: number
  readonly violations: readonly Violation[]
  readonly violationCount: number
  readonly events: number
  readonly processorShare: number
}

/** A lab that does one workload, from its machines' release to the last one's end. */
export class Simulation {
  readonly world: World
  readonly checkers: Checkers
  readonly seeds: SeedNode[] = []
  readonly agents: AgentNode[] = []
  #options: LabOptions
  #processors: Processor[]
  #left = 0
  #messagesPeak = 0

  constructor(options: LabOptions, image: SimImage) {
    this.#options = options
    let checkers: Checkers | undefined
    this.world = new World(options, image, world => (checkers = new Checkers(world)))
    if (checkers === undefined) throw new Error('the world has no watcher')
    this.checkers = checkers
    this.#processors = Array.from({ length: options.cores }, () => new Processor())
    this.#build()
  }

  run(): LabResult {
    const { events } = this.world
    this.world.onDone = () => (this.#left -= 1)
    this.#left = this.#expected().length
    this.#release()
    this.#arrangeFaults()
    this.#countMessages(new Map())
    while (this.#left > 0 && events.step(this.#options.endMs));
    return this.#result()
  }

  #build(): void {
    const { agents, seeds, mbit, seedMbit, stragglers, stragglerMbit, liars, mutes } = this.#options
    for (let n = 0; n < seeds; n += 1) {
      const seed = new SeedNode(this.world, `seed${n}`, this.#place(seedMbit, undefined, n))
      this.seeds.push(seed)
      this.world.add(seed)
    }
    const { rackSize } = this.#options
    for (let n = 0; n < agents; n += 1) {
      const rack = rackSize > 0 ? Math.floor(n / rackSize) : undefined
      const rate = n < stragglers ? stragglerMbit : mbit
      const agent = new AgentNode(this.world, `a${n}`, this.#place(rate, rack, seeds + n))
      // The last ones, so that they are not the stragglers.
      agent.isLiar = n >= agents - liars
      agent.isMute = !agent.isLiar && n >= agents - liars - mutes
      this.agents.push(agent)
      this.world.add(agent)
    }
  }

  #place(
    mbit: number,
    rack: number | undefined,
    n: number
  ): ConstructorParameters<typeof SeedNode>[2] {
    const { network } = this.world
    const processor = this.#processors[n % this.#processors.length] ?? new Processor()
    return { up: network.port(mbit), down: network.port(mbit), processor, rack }
  }

  #release(): void {
    const { spreadMs, late, lateMs } = this.#options
    const random = this.world.randomOf('release')
    for (const seed of this.seeds) seed.start()
    const joiners = this.agents.slice(-late || this.agents.length)
    for (const agent of this.agents) {
      const delay = late > 0 && joiners.includes(agent) ? lateMs : 0
      this.world.events.after(delay + random.next() * spreadMs, () => agent.start())
    }
  }

  #arrangeFaults(): void {
    const { lostAtMs, seedDiesMs, seedReturnsMs } = this.#options
    const { events } = this.world
    for (const [n, agent] of this.#lost().entries()) {
      events.at(lostAtMs + n, () => agent.fail(n % 2 === 0 ? 'dead' : 'cut'))
    }
    if (seedDiesMs > 0) {
      events.at(seedDiesMs, () => {
        for (const seed of this.seeds) seed.fail('dead')
      })
    }
    if (seedReturnsMs > 0) {
      events.at(seedReturnsMs, () => {
        for (const seed of this.seeds) seed.restart()
      })
    }
  }

  /** In the middle of the list: neither stragglers nor liars. */
  #lost(): AgentNode[] {
    const first = Math.floor(this.agents.length / 2)
    return this.agents.slice(first, first + this.#options.lost)
  }

  /** Those who are to be done at the end and whose time counts. */
  #expected(): AgentNode[] {
    const lost = new Set(this.#lost())
    return this.agents.filter(agent => !lost.has(agent) && !agent.isLiar)
  }

  #countMessages(before: Map<SimNode, number>): void {
    for (const seed of this.seeds) {
      const count = seed.messagesReceived
      const perMachine = (count - (before.get(seed) ?? 0)) / this.agents.length
      this.#messagesPeak = Math.max(this.#messagesPeak, perMachine)
      before.set(seed, count)
    }
    this.world.events.after(1_000, () => this.#countMessages(before))
  }

  #doneAt(agent: AgentNode): number | undefined {
    return this.#options.workload === 'copy' ? agent.presentAt : agent.reader.doneAt
  }

  #result(): LabResult {
    const { image, events } = this.world
    const { seedCopiesMax } = this.#options
    const expected = this.#expected()
    const timeOf = (agent: AgentNode): number => (this.#doneAt(agent) ?? Infinity) - agent.startedAt
    const slow = new Set(this.agents.slice(0, this.#options.stragglers))
    const times = expected.filter(agent => !slow.has(agent)).map(timeOf)
    times.sort((a, b) => a - b)
    const imageBytes = bytesOf(image, this.world.items)
    const seedBytes = this.seeds.reduce((sum, seed) => sum + seed.bytesSent, 0)
    for (const agent of expected) {
      this.checkers.expectCompletion(agent, this.#doneAt(agent) !== undefined)
    }
    this.checkers.expectSeedBytes(seedBytes, seedCopiesMax * imageBytes)
    const waits = expected.flatMap(agent => agent.reader.waitsMs).sort((a, b) => a - b)
    const nodes = [...this.seeds, ...this.agents]
    return {
      lastMs: times.at(-1) ?? 0,
      medianMs: times[Math.floor(times.length / 2)] ?? 0,
      stragglerMs: Math.max(0, ...[...slow].map(timeOf)),
      done: expected.filter(agent => this.#doneAt(agent) !== undefined).length,
      expected: expected.length,
      heldMin: Math.min(...expected.map(agent => agent.heldCount)),
      heldUnion: this.#heldUnion(),
      seedBytes,
      seedCopies: seedBytes / imageBytes,
      seedBootSets: this.checkers.seedBootBytes / Math.max(1, bytesOf(image, image.bootSet)),
      urgentMs: {
        p50: waits[Math.floor(waits.length / 2)] ?? 0,
        p95: waits[Math.floor(waits.length * 0.95)] ?? 0,
        max: waits.at(-1) ?? 0
      },
      stillMsMax: this.checkers.stillMsMax,
      seedMessagesPeak: this.#messagesPeak,
      linksMax: Math.max(...this.agents.map(agent => agent.linksMax)),
      violations: this.checkers.violations,
      violationCount: this.checkers.violationCount,
      events: events.count,
      processorShare:
        Math.max(...nodes.map(({ processor }) => processor.busyMs)) / Math.max(1, events.now)
    }
  }

  #heldUnion(): number {
    const living = [...this.seeds, ...this.agents].filter(node => node.isUp)
    return this.world.items.filter(item => living.some(node => node.holds(item))).length
  }
}

import { AgentNode } from './agent-node.ts'
import { Checkers } from './checkers.ts'
import { rolesOf, type LabOptions, type Role } from './lab-options.ts'
import { resultOf, type LabResult } from './lab-result.ts'
import { Processor } from './processor.ts'
import { SeedNode } from './seed-node.ts'
import type { SimImage } from './sim-image.ts'
import type { NodePlace } from './sim-node.ts'
import { World } from './world.ts'

/** How often it is looked whether survivors have all that there is, in ms. */
const lookMs = 250

/** A lab that does one workload, from its machines' release to the last one's end. */
export class Simulation {
  readonly world: World
  readonly checkers: Checkers
  readonly seeds: SeedNode[] = []
  readonly agents: AgentNode[] = []
  readonly options: LabOptions
  #roles: readonly Role[]
  #processors: Processor[]
  #isOver = false

  /** Throws when there are more machines with a fault than machines. */
  constructor(options: LabOptions, image: SimImage) {
    this.options = options
    let checkers: Checkers | undefined
    this.world = new World(options, image, world => (checkers = new Checkers(world)))
    if (checkers === undefined) throw new Error('the world has no watcher')
    this.checkers = checkers
    this.#roles = rolesOf(options)
    this.#processors = Array.from({ length: options.cores }, () => new Processor())
    this.#build()
  }

  /** `onEvent` is called after every event. */
  run(onEvent: () => void = () => {}): LabResult {
    const { events } = this.world
    const left = new Set(this.expected)
    this.world.onDone = agent => {
      if (this.doneAt(agent) !== undefined) left.delete(agent)
    }
    this.#release()
    this.#arrangeFaults()
    while (left.size > 0 && !this.#isOver && events.step(this.options.endMs)) onEvent()
    return resultOf(this)
  }

  roleOf(agent: AgentNode): Role {
    return this.#roles[this.agents.indexOf(agent)] ?? 'plain'
  }

  /** Those who are to be done at the end. */
  get expected(): readonly AgentNode[] {
    return this.#withoutRoles('lost', 'liar')
  }

  /** Those whose time counts: nothing is the matter with them. */
  get counted(): readonly AgentNode[] {
    return this.#withoutRoles('lost', 'liar', 'straggler', 'leaver', 'slow')
  }

  doneAt(agent: AgentNode): number | undefined {
    return this.options.workload === 'copy' ? agent.presentAt : agent.reader.doneAt
  }

  /** Items that living nodes hold together. */
  union(): number[] {
    const living = [...this.seeds, ...this.agents].filter(node => node.isUp && !node.isLiar)
    return this.world.items.filter(item => living.some(node => node.holds(item)))
  }

  #withoutRoles(...roles: Role[]): AgentNode[] {
    return this.agents.filter((_, n) => !roles.includes(this.#roles[n] ?? 'plain'))
  }

  #build(): void {
    const { agents, seeds, mbit, seedMbit, seedRack, stragglerMbit } = this.options
    const rackOfSeeds = seedRack > 0 ? seedRack - 1 : undefined
    for (let n = 0; n < seeds; n += 1) {
      const seed = new SeedNode(this.world, `seed${n}`, this.#place(seedMbit, rackOfSeeds, n))
      this.seeds.push(seed)
      this.world.add(seed)
    }
    const { rackSize } = this.options
    for (let n = 0; n < agents; n += 1) {
      const role = this.#roles[n]
      const rack = rackSize > 0 ? Math.floor(n / rackSize) : undefined
      const rate = role === 'straggler' ? stragglerMbit : mbit
      const outRate = role === 'slow' ? rate / this.options.slowTimes : rate
      const place = this.#place(rate, rack, seeds + n, outRate)
      const agent = new AgentNode(this.world, `a${n}`, place)
      if (role === 'slow') agent.slowTimes = this.options.slowTimes
      agent.isLiar = role === 'liar'
      agent.isMute = role === 'mute'
      this.agents.push(agent)
      this.world.add(agent)
    }
  }

  #place(mbit: number, rack: number | undefined, n: number, outMbit = mbit): NodePlace {
    const { network } = this.world
    const processor = this.#processors[n % this.#processors.length] ?? new Processor()
    return { up: network.port(outMbit), down: network.port(mbit), processor, rack }
  }

  #release(): void {
    const { spreadMs, lateMs } = this.options
    const { events } = this.world
    const random = this.world.randomOf('release')
    for (const seed of this.seeds) seed.start()
    for (const [n, agent] of this.agents.entries()) {
      const delay = this.#roles[n] === 'late' ? lateMs : 0
      events.after(delay + random.next() * spreadMs, () => agent.start())
    }
  }

  #arrangeFaults(): void {
    const { lostAtMs, leaveAtMs, returnMs, seedDiesMs, seedReturnsMs } = this.options
    const { events } = this.world
    for (const [n, agent] of this.#of('lost').entries()) {
      events.at(lostAtMs + n, () => agent.fail(n % 2 === 0 ? 'dead' : 'cut'))
    }
    for (const [n, agent] of this.#of('leaver').entries()) {
      events.at(leaveAtMs + n, () => agent.fail('dead'))
      events.at(returnMs + n, () => agent.restart())
    }
    if (seedDiesMs === 0) return
    events.at(seedDiesMs, () => {
      for (const seed of this.seeds) seed.fail('dead')
      if (seedReturnsMs === 0) this.#endWithUnion()
    })
    if (seedReturnsMs === 0) return
    events.at(seedReturnsMs, () => {
      for (const seed of this.seeds) seed.restart()
    })
  }

  /** Without seeds, survivors cannot have more than what they hold together. */
  #endWithUnion(): void {
    const most = this.union().length
    const isAt = (agent: AgentNode): boolean => agent.isUp && agent.heldCount === most
    this.#isOver = this.expected.every(isAt)
    if (!this.#isOver) this.world.events.after(lookMs, () => this.#endWithUnion())
  }

  #of(role: Role): AgentNode[] {
    return this.agents.filter((_, n) => this.#roles[n] === role)
  }
}

import { requestClasses, seededRandom, type Random } from '../../src/base/index.ts'
import { tickMs, type FetchAction, type FetchEvent } from '../../src/scheduler/fetching.ts'
import { LabNode, type Upload } from './lab-node.ts'

// A whole lab in virtual time: a seed, its agents, and a network that loses nothing. Every node runs
// the real scheduler; the same number gives the same run.

export interface LabOptions {
  readonly agents: number
  readonly items: number
  readonly random: number
  /** What a node's uplink needs for one item. */
  readonly sendMs?: number
  /** Agents that each agent is connected to from the start, besides the seed and the next one. */
  readonly neighbours?: number
  /** Items that every agent reads one after the other, as a boot does. */
  readonly boot?: readonly number[]
}

const latencyMs = 1
const haveMs = 75
const endMs = 600_000

/** The one image, whose chunks are named by the item. */
const imageId = 'image'

export class Lab {
  now = 0
  readonly seed: LabNode
  readonly agents: readonly LabNode[]
  /** When each agent had everything. */
  readonly doneAt = new Map<string, number>()
  readonly faults: string[] = []
  #options: Required<LabOptions>
  #nodes = new Map<string, LabNode>()
  #random: Random
  /** Time → what happens then, in order. */
  #events = new Map<number, (() => void)[]>()

  constructor(options: LabOptions) {
    this.#options = { sendMs: 2, neighbours: 4, boot: [], ...options }
    this.#random = seededRandom(options.random)
    const node = (id: string, role: 'seed' | 'agent', n: number): LabNode => {
      const made = new LabNode(id, role, options.items, seededRandom(options.random * 1_000 + n))
      this.#nodes.set(id, made)
      return made
    }
    this.seed = node('seed', 'seed', 0)
    for (let item = 0; item < options.items; item += 1) this.seed.held.add(item)
    this.seed.serving.offer(imageId, [...this.seed.held].map(String))
    this.agents = Array.from({ length: options.agents }, (_, n) => node(`a${n}`, 'agent', n + 1))
  }

  /** Until every living agent has everything, or nothing will ever change that. */
  run(): void {
    for (const agent of this.agents)
      this.at(Math.floor(this.#random.next() * 50), () => this.#join(agent))
    while (this.now < endMs && !this.#isDone()) {
      for (const happen of this.#events.get(this.now) ?? []) happen()
      this.#events.delete(this.now)
      this.now += 1
    }
  }

  at(delayMs: number, happen: () => void): void {
    const time = this.now + Math.max(1, delayMs)
    const events = this.#events.get(time)
    if (events === undefined) this.#events.set(time, [happen])
    else events.push(happen)
  }

  kill(node: LabNode): void {
    node.dead = true
    for (const other of [...node.links]) {
      other.links.delete(node)
      for (const [item, peer] of other.out) if (peer === node) other.out.delete(item)
      other.queue = other.queue.filter(({ to }) => to !== node)
      other.waiting = other.waiting.filter(({ to }) => to !== node)
      other.takers = other.takers.filter(taker => taker !== node)
      other.serving.gone(node.id)
      this.#tell(other, { type: 'gone', peer: node.id })
    }
    node.links.clear()
  }

  #isDone(): boolean {
    return this.agents.every(agent => agent.dead || this.doneAt.has(agent.id))
  }

  #join(agent: LabNode): void {
    this.#connect(agent, this.seed)
    // So that nobody is left out when the seed has gone.
    const next = this.agents[(this.agents.indexOf(agent) + 1) % this.agents.length]
    if (next !== undefined) this.#connect(agent, next)
    for (let n = 0; n < this.#options.neighbours; n += 1) {
      const other = this.agents[Math.floor(this.#random.next() * this.agents.length)]
      if (other !== undefined) this.#connect(agent, other)
    }
    const items = Array.from({ length: this.#options.items }, (_, item) => item)
    this.#tell(agent, { type: 'want', items, class: 'background' })
    this.#read(agent, 0)
    const tick = (): void => {
      if (agent.dead) return
      for (const { id } of agent.links) this.#tell(agent, { type: 'heard', peer: id })
      this.#tell(agent, { type: 'tick' })
      this.#pump(this.seed)
      this.at(tickMs, tick)
    }
    this.at(tickMs, tick)
  }

  /** Waits for one item of the boot after the other. */
  #read(agent: LabNode, step: number): void {
    const item = this.#options.boot[step]
    if (item === undefined || agent.dead) return
    if (agent.held.has(item)) {
      this.at(1, () => this.#read(agent, step + 1))
      return
    }
    this.#tell(agent, { type: 'want', items: [item], class: 'urgent' })
    const wait = (): void => {
      if (agent.held.has(item)) this.#read(agent, step + 1)
      else this.at(5, wait)
    }
    this.at(5, wait)
  }

  #connect(a: LabNode, b: LabNode): void {
    if (a === b || a.dead || b.dead || a.links.has(b)) return
    a.links.add(b)
    b.links.add(a)
    for (const [self, other] of [
      [a, b],
      [b, a]
    ] as const) {
      if (self.role === 'seed') continue
      this.#tell(self, { type: 'peer', peer: other.id, role: other.role })
      if (other.role === 'seed') this.#tell(self, { type: 'has-all', peer: other.id })
      else this.#tell(self, { type: 'has', peer: other.id, items: [...other.held] })
    }
  }

  #tell(node: LabNode, event: FetchEvent): void {
    if (node.dead) return
    for (const action of node.fetching.apply(event, this.now)) this.#act(node, action)
  }

  #act(node: LabNode, action: FetchAction): void {
    const peer = 'peer' in action ? this.#nodes.get(action.peer) : undefined
    switch (action.type) {
      case 'connect':
        this.at(2 * latencyMs, () => {
          if (peer === undefined || peer.dead)
            this.#tell(node, { type: 'unreachable', peer: action.peer })
          else this.#connect(node, peer)
        })
        return
      case 'request':
        if (peer === undefined || !node.links.has(peer)) {
          this.faults.push(`${node.id} asked ${action.peer}, which it is not connected to`)
          return
        }
        if (!node.out.has(action.item) || node.out.get(action.item) === peer) {
          node.out.set(action.item, peer)
        } else this.faults.push(`${node.id} asked twice for ${action.item}`)
        this.#deliver(node, peer, () => this.#wanted(peer, node, action))
        return
      case 'cancel':
        if (node.out.get(action.item) !== peer || peer === undefined) return
        node.out.delete(action.item)
        this.#deliver(node, peer, () => this.#dropped(peer, node, action.item))
        return
      case 'abandoned':
        this.#abandon(node, action.item)
        return
      case 'more':
        if (peer === undefined) return
        this.#deliver(node, peer, () => {
          peer.takers.push(node)
          this.#pump(peer)
        })
        return
      case 'promised':
        for (const upload of node.waiting)
          if (upload.item === action.item) this.#accept(node, upload)
        return
    }
  }

  /** A message: it is lost only with its link. */
  #deliver(from: LabNode, to: LabNode, arrive: () => void): void {
    this.at(latencyMs, () => {
      if (!to.dead && from.links.has(to)) arrive()
    })
  }

  #wanted(node: LabNode, asker: LabNode, want: Extract<FetchAction, { type: 'request' }>): void {
    const { item, insist } = want
    const same = (upload: Upload): boolean => upload.to === asker && upload.item === item
    const known = node.waiting.find(same) ?? node.queue.find(same)
    if (known !== undefined || (node.sending !== undefined && same(node.sending))) {
      if (known !== undefined) known.class = want.class
      return
    }
    const holding = node.held.has(item) ? 'held' : node.fetching.standing(item)
    const asked = { peer: asker.id, id: String(item), class: want.class, insist }
    const decision = node.serving.decide(asked, holding, this.now)
    const upload = { to: asker, item, class: want.class, accepted: false }
    switch (decision.kind) {
      case 'send':
        node.queue.push(upload)
        this.#accept(node, upload)
        this.#pump(node)
        return
      case 'wait':
        node.waiting.push(upload)
        this.#tell(node, { type: 'awaited', item, class: want.class })
        if (holding === 'promised') this.#accept(node, upload)
        return
      case 'redirect':
        if (decision.to.includes(asker.id)) this.faults.push(`${asker.id} was sent to itself`)
        this.#answer(node, asker, { type: 'redirected', peer: node.id, item, to: decision.to })
        return
      case 'refuse':
        this.#answer(node, asker, { type: 'refused', peer: node.id, item, reason: decision.reason })
    }
  }

  #accept(node: LabNode, upload: Upload): void {
    if (upload.accepted) return
    upload.accepted = true
    const { to, item } = upload
    const waiting = node.waiting.includes(upload)
    this.#answer(node, to, { type: 'accepted', peer: node.id, item, waiting })
  }

  #answer(
    node: LabNode,
    asker: LabNode,
    event: Extract<FetchEvent, { type: 'accepted' | 'refused' | 'redirected' }>
  ): void {
    this.#deliver(node, asker, () => {
      if (asker.out.get(event.item) !== node) return
      if (event.type !== 'accepted') asker.out.delete(event.item)
      this.#judge(node, asker, event)
      this.#tell(asker, event)
    })
  }

  /** What must never happen, however the messages cross. */
  #judge(node: LabNode, asker: LabNode, event: FetchEvent): void {
    if (event.type === 'refused' && event.reason === 'not-held') {
      const key = `${node.id} ${event.item}`
      const count = (asker.notHeld.get(key) ?? 0) + 1
      asker.notHeld.set(key, count)
      if (count > 5) this.faults.push(`${asker.id} asks ${key} again and again`)
    }
    if (event.type !== 'accepted') return
    const { item } = event
    if (!event.waiting) asker.waitsFor.delete(item)
    else asker.waitsFor.set(item, node)
    const seen = new Set<LabNode>()
    for (let at: LabNode | undefined = asker; at !== undefined;) {
      if (seen.has(at)) {
        this.faults.push(`${[...seen, at].map(({ id }) => id).join(' > ')} wait for ${item}`)
        return
      }
      seen.add(at)
      const next: LabNode | undefined = at.waitsFor.get(item)
      at = at.out.get(item) === next && !at.held.has(item) ? next : undefined
    }
  }

  #dropped(node: LabNode, asker: LabNode, item: number): void {
    const others = ({ to, item: other }: Upload): boolean => to !== asker || other !== item
    if (node.waiting.every(others) && node.queue.every(others)) return
    node.waiting = node.waiting.filter(others)
    node.queue = node.queue.filter(others)
    node.serving.dropped(asker.id, String(item))
  }

  #abandon(node: LabNode, item: number): void {
    for (const upload of node.waiting.filter(waiting => waiting.item === item)) {
      this.#dropped(node, upload.to, item)
      const refusal = { type: 'refused', peer: node.id, item, reason: 'given-up' } as const
      this.#answer(node, upload.to, refusal)
    }
  }

  /** One item after the other goes out, urgent first. */
  #pump(node: LabNode): void {
    if (node.sending !== undefined || node.dead) return
    node.queue.sort((a, b) => requestClasses.indexOf(a.class) - requestClasses.indexOf(b.class))
    const upload = node.queue.shift() ?? this.#gift(node)
    if (upload === undefined) return
    node.sending = upload
    this.at(this.#options.sendMs, () => {
      node.sending = undefined
      if (node.dead) return
      const { to, item } = upload
      if (node.links.has(to)) {
        node.sent.set(item, (node.sent.get(item) ?? 0) + 1)
        node.serving.sent(to.id, String(item), this.now)
        this.#deliver(node, to, () => this.#arrived(to, node, item))
      }
      this.#pump(node)
    })
  }

  /** The first who takes one more and may have it now gets what the seed picks. */
  #gift(node: LabNode): Upload | undefined {
    for (const taker of node.takers) {
      const gift = node.serving.next(taker.id, imageId, this.now)
      if (gift.kind === 'later') continue
      node.takers.splice(node.takers.indexOf(taker), 1)
      if (gift.kind === 'chunk') {
        const item = Number(gift.id)
        this.#deliver(node, taker, () => this.#given(taker, node, item))
        return { to: taker, item, class: 'background', accepted: true }
      }
      this.#deliver(node, taker, () => this.#tell(taker, { type: 'no-more', peer: node.id }))
      return this.#gift(node)
    }
    return undefined
  }

  #given(node: LabNode, seed: LabNode, item: number): void {
    const actions = node.fetching.apply({ type: 'given', peer: seed.id, item }, this.now)
    const isOfGift = (action: FetchAction): boolean =>
      action.type === 'cancel' && action.peer === seed.id && action.item === item
    if (actions.some(isOfGift)) {
      this.#deliver(node, seed, () => this.#dropped(seed, node, item))
      return
    }
    for (const action of actions) if (action.type === 'cancel') this.#act(node, action)
    node.out.set(item, seed)
    for (const action of actions) if (action.type !== 'cancel') this.#act(node, action)
  }

  #arrived(node: LabNode, from: LabNode, item: number): void {
    if (node.out.get(item) === from) node.out.delete(item)
    if (node.held.has(item)) return
    node.held.add(item)
    if (node.held.size === this.#options.items) this.doneAt.set(node.id, this.now)
    this.#tell(node, { type: 'settled', item })
    for (const upload of node.waiting.filter(waiting => waiting.item === item)) {
      node.waiting = node.waiting.filter(other => other !== upload)
      node.queue.push(upload)
    }
    this.#pump(node)
    if (node.news.push(item) === 1) this.at(haveMs, () => this.#announce(node))
  }

  #announce(node: LabNode): void {
    const items = node.news
    node.news = []
    for (const other of node.links) {
      this.#deliver(node, other, () => {
        for (const item of items) other.serving.holds(node.id, String(item))
        if (other.role === 'agent') this.#tell(other, { type: 'has', peer: node.id, items })
      })
    }
  }
}

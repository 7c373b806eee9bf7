import type { AgentNode } from './agent-node.ts'
import type { World } from './world.ts'

/** The machine's operating system as it boots: one read at a time, some thinking between them. */
export class Reader {
  /** When the last read was answered; undefined until then. */
  doneAt: number | undefined
  /** How long each read that had to wait for the network did so, in ms. */
  readonly waitsMs: number[] = []
  #world: World
  #node: AgentNode
  #next = 0
  #issuedAt = 0
  #missing = new Set<number>()
  /** Items that were read before. */
  #seen = new Set<number>()
  /** A read came while no agent ran. */
  #paused = false
  #started = false

  constructor(world: World, node: AgentNode) {
    this.#world = world
    this.#node = node
  }

  /** Items that the read under way waits for, and since when. */
  get waiting(): { readonly items: ReadonlySet<number>; readonly since: number } {
    return { items: this.#missing, since: this.#issuedAt }
  }

  /** Also goes on where it was when the machine's agent has been started again. */
  start(): void {
    if (this.#started) {
      this.#goOn()
      return
    }
    this.#started = true
    const [first] = this.#world.image.reads
    if (first === undefined) this.#end()
    else this.#world.events.after(first.thinkMs, () => this.#read())
  }

  #goOn(): void {
    for (const item of this.#missing) this.#node.need(item)
    if (this.#paused) {
      this.#paused = false
      this.#read()
    }
  }

  arrived(item: number): void {
    if (!this.#missing.delete(item) || this.#missing.size > 0) return
    this.waitsMs.push(this.#world.events.now - this.#issuedAt)
    this.#answered()
  }

  #read(): void {
    if (!this.#node.isUp) {
      this.#paused = true
      return
    }
    this.#issuedAt = this.#world.events.now
    const items = this.#world.image.reads[this.#next]?.items ?? []
    for (const item of items) {
      if (!this.#seen.has(item)) this.#node.tell({ type: 'read', item })
      this.#seen.add(item)
      if (!this.#node.holds(item)) this.#missing.add(item)
    }
    if (this.#missing.size === 0) this.#answered()
    for (const item of [...this.#missing]) this.#node.need(item)
  }

  #answered(): void {
    this.#next += 1
    const next = this.#world.image.reads[this.#next]
    const { events, options } = this.#world
    const reply = options.localReadMs
    if (next === undefined) events.after(reply, () => this.#end())
    else events.after(reply + next.thinkMs, () => this.#read())
  }

  #end(): void {
    this.doneAt = this.#world.events.now
    this.#world.onDone(this.#node)
  }
}

import { seededRandom, type RequestClass } from '../../src/base/index.ts'
import {
  Fetching,
  tickMs,
  type FetchAction,
  type FetchEvent,
  type FetchingInit
} from '../../src/scheduler/fetching.ts'

export interface FetcherOptions extends Partial<Omit<FetchingInit, 'itemCount' | 'random'>> {
  readonly seed?: number
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, n) => from + n)

/** A `Fetching` in virtual time, what it has done, and what it has out. */
export class Fetcher {
  now = 0
  readonly actions: FetchAction[] = []
  /** item → the peer that it is asked of. */
  readonly out = new Map<number, string>()
  readonly itemCount: number
  #fetching: Fetching

  constructor(itemCount: number, options: FetcherOptions = {}) {
    const { seed = 1, ...init } = options
    this.itemCount = itemCount
    this.#fetching = new Fetching({ itemCount, random: seededRandom(seed), ...init })
  }

  apply(event: FetchEvent): FetchAction[] {
    if ((event.type === 'refused' || event.type === 'redirected') && this.isOut(event)) {
      this.out.delete(event.item)
    }
    if (event.type === 'gone') {
      for (const [item, peer] of this.out) if (peer === event.peer) this.out.delete(item)
    }
    const actions = this.#fetching.apply(event, this.now)
    for (const action of actions) {
      if (action.type === 'request') this.out.set(action.item, action.peer)
      if (action.type === 'cancel' && this.isOut(action)) this.out.delete(action.item)
    }
    this.actions.push(...actions)
    return actions
  }

  isOut({ item, peer }: { item: number; peer: string }): boolean {
    return this.out.get(item) === peer
  }

  get aheadBytes(): number {
    return this.#fetching.aheadBytes
  }

  isPromised(item: number): boolean {
    return this.standing(item) === 'promised'
  }

  standing(item: number): 'promised' | 'sought' | 'absent' {
    return this.#fetching.standing(item)
  }

  /** Peers that are connected and have everything. */
  join(...peers: string[]): void {
    for (const peer of peers) {
      this.apply({ type: 'peer', peer, role: peer.startsWith('seed') ? 'seed' : 'agent' })
      this.apply({ type: 'has-all', peer })
    }
  }

  /** Peers that are connected and have nothing yet. */
  meet(...peers: string[]): void {
    for (const peer of peers) this.apply({ type: 'peer', peer, role: 'agent' })
  }

  want(items: readonly number[], requestClass: RequestClass = 'background'): FetchAction[] {
    return this.apply({ type: 'want', items, class: requestClass })
  }

  /** Time passes, with the ticks that come in it. */
  pass(ms: number, ...talking: string[]): FetchAction[] {
    const from = this.actions.length
    for (let left = ms; left > 0; left -= tickMs) {
      this.now += Math.min(left, tickMs)
      for (const peer of talking) this.apply({ type: 'heard', peer })
      this.apply({ type: 'tick' })
    }
    return this.actions.slice(from)
  }
}

export type Requested = Extract<FetchAction, { type: 'request' }>

export const requestsIn = (actions: readonly FetchAction[]): Requested[] =>
  actions.filter((action): action is Requested => action.type === 'request')

/** Actions in few words: `request 3 of a urgent`, `cancel 3 of a`, `connect a`, `abandoned 3`. */
export function inWords(actions: readonly FetchAction[]): string[] {
  return actions.map(action => {
    switch (action.type) {
      case 'request': {
        const insist = action.insist ? ' insisting' : ''
        return `request ${action.item} of ${action.peer} ${action.class}${insist}`
      }
      case 'cancel':
        return `cancel ${action.item} of ${action.peer}`
      case 'connect':
        return `connect ${action.peer}`
      case 'abandoned':
        return `abandoned ${action.item}`
      case 'promised':
        return `promised ${action.item}`
      case 'more':
        return `more of ${action.peer}`
      case 'look-again':
        return 'look again'
    }
  })
}

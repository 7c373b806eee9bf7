import type { Asking } from './asking.ts'
import type { Availability } from './availability.ts'
import type { FetchAction } from './fetch-events.ts'
import type { Foresight } from './foresight.ts'
import type { Mechanisms } from './mechanisms.ts'
import { spareRequestsMax } from './peer-choice.ts'
import type { WantList } from './want-list.ts'
import { Yielding } from './yielding.ts'

/** Expected reads asked for at a time: in a large lab each waits in a long line, while others move. */
const expectedMax = 28
/** With fewer places free nothing more is asked for: what leaves together is one message. */
const expectedAtOnce = 5
/** What a neighbour has read is not asked of a seed before the neighbour has had this long to get it. */
const neighbourMs = 1_000
/** Items looked at in one search for background work. */
const scanMax = 512
/** Items that a seed picks for us at a time; the next comes while the one before is being checked. */
const takesMax = 4
/** Of what only a profile names; with four, sixteen simulated machines boot a twentieth later. */
const foreseenTakesMax = 2

/**
 * With so many machines seeds pick what a profile names. Simulated at 40 Mbit/s, last machine: of 64
 * after 6.7 s either way, of 256 after 8.7 s instead of 10.9; fewer are sooner done by names, most of all
 * on slow lines, since whoever reads right behind its prefetches waits for no news.
 */
const crowdMin = 64
/**
 * What a doubted profile names is asked for when the machine has read nothing for so many times as long as what
 * is wrong of it takes the line, a read, on the average. Alone on 10 Mbit/s, with a fifth of the profile wrong, a
 * simulated machine boots so in 1.00 to 1.04 of the time without a profile; with all of it asked for in 1.11.
 */
const waryTimes = 2
/** Who reads nothing new for so long has booted. */
const bootingMs = 2_000
/** A seed that picks what no profile names has none of that left; it is not asked to for so long. */
const pickedOutMs = 5_000

export interface PlanningInit {
  readonly wants: WantList
  readonly have: Availability
  readonly asking: Asking
  readonly mechanisms: Mechanisms
  readonly foresight: Foresight
}

/** Which of the wanted items are asked for next: what somebody waits for, what is soon read, the rest. */
export class Planning {
  #wants: WantList
  #have: Availability
  #asking: Asking
  #mechanisms: Mechanisms
  #foresight: Foresight
  #yielding = new Yielding()
  /** Background items at the front of the order that the last searches could ask of nobody. */
  #scanSkip = 0
  /** Among the items searched since the front, some wait for a peer that has enough to do for us. */
  #mayFree = false
  /** The last search went through all items, and nothing has changed since. */
  #isExhausted = false
  #machines = 0
  /** Somebody waited when it was planned last. */
  #waited = false
  /** When it was planned last while somebody waited, or just had. */
  #waitedAt = -Infinity
  /** When the machine last read something for the first time. */
  #readAt = -Infinity
  /** When it is to be planned again. */
  #againAt = -Infinity
  /** Until then seeds are asked by name for what a profile names. */
  #pickedOutUntil = -Infinity

  constructor({ wants, have, asking, mechanisms, foresight }: PlanningInit) {
    this.#wants = wants
    this.#have = have
    this.#asking = asking
    this.#mechanisms = mechanisms
    this.#foresight = foresight
  }

  /** Something has happened after which an item may be asked of somebody that could not be before. */
  renew(): void {
    this.#isExhausted = false
  }

  /** The machine reads the item for the first time. */
  read(item: number, now: number): void {
    this.#readAt = now
    this.#foresight.read(item)
  }

  /** So many machines work on the image, at least. */
  crowd(machines: number): void {
    this.#machines = Math.max(this.#machines, machines)
  }

  /** A seed has picked the item for us. */
  given(item: number, now: number): void {
    if (!this.#foresight.names(item)) this.#pickedOutUntil = now + pickedOutMs
  }

  #startOver(): void {
    this.#scanSkip = 0
    this.#mayFree = false
  }

  /** `news`: only these items can be had where they could not before. */
  plan(now: number, actions: FetchAction[], news?: readonly number[]): void {
    let waits = false
    for (const item of this.#wants.urgent()) {
      waits = true
      this.#yielding.urgent(now)
      if (!this.#asking.has(item)) this.#asking.ask(item, 'urgent', now, actions)
    }
    if (waits || this.#waited) this.#waitedAt = now
    this.#waited = waits
    this.#planExpected(now, actions)
    if (this.#isWary(now)) this.#planWarily(now, actions)
    this.#planBackground(now, actions, news)
  }

  /** What is expected to be read soon, in the order in which others read it. */
  #planExpected(now: number, actions: FetchAction[]): void {
    let free = expectedMax - this.#asking.count('prefetch')
    if (free < expectedAtOnce) return
    const isWary = this.#isWary(now)
    let looked = 0
    let isFirst = true
    let arePicked = false
    for (const item of this.#wants.prefetch()) {
      looked += 1
      if (looked > scanMax) break
      if (this.#foresight.isOnlyForeseen(item)) {
        if (isWary) continue
        const isNext = isFirst
        isFirst = false
        if (!isNext && this.#isPicked(item, now)) {
          arePicked = true
          continue
        }
      }
      if (this.#asking.has(item) || this.#comesByItself(item, now)) continue
      if (!this.#asking.ask(item, 'prefetch', now, actions)) continue
      free -= 1
      if (free === 0) return
    }
    if (!arePicked) return
    for (const peer of this.#asking.choice.takes(foreseenTakesMax, now)) {
      actions.push({ type: 'more', peer, class: 'prefetch' })
    }
  }

  /** A profile that is wrong is no reason to be in the way of a read. */
  #isWary(now: number): boolean {
    return this.#foresight.isDoubted && now - this.#readAt < bootingMs
  }

  /** One at a time, while the machine thinks: what it reads next may be something else. */
  #planWarily(now: number, actions: FetchAction[]): void {
    if (this.#waited || this.#asking.count('prefetch') > 0) return
    const { doubt } = this.#foresight
    const beginAt = this.#waitedAt + (waryTimes * this.#asking.frameMs * doubt) / (1 - doubt)
    if (now < beginAt) {
      if (this.#againAt <= now) actions.push({ type: 'look-again', afterMs: beginAt - now })
      this.#againAt = Math.max(this.#againAt, beginAt)
      return
    }
    for (const item of this.#foresight.ahead()) {
      if (this.#asking.has(item) || this.#wants.classOf(item) !== 'prefetch') continue
      if (this.#asking.ask(item, 'prefetch', now, actions)) return
    }
  }

  /**
   * All machines have the same profile and would ask a seed for the same chunks. So in a crowd, but for
   * the one that is read next, seeds pick, in the profile's order, and each machine tells its neighbours
   * what it got.
   */
  #isPicked(item: number, now: number): boolean {
    const { choice } = this.#asking
    if (!this.#mechanisms.lateBinding || now < this.#pickedOutUntil) return false
    if (this.#machines < crowdMin || this.#asking.has(item)) return false
    return this.#have.holderCount(item) <= choice.seedsThatPick(now) && !this.#asking.isHinted(item)
  }

  /** The neighbour that has read it will soon have it: what it says of it costs the seed nothing. */
  #comesByItself(item: number, now: number): boolean {
    const since = this.#foresight.expectedSince(item)
    if (!this.#mechanisms.neighboursFirst || since === undefined) return false
    const { choice } = this.#asking
    const onlySeeds = this.#have.holderCount(item) <= choice.seedsWithAll()
    return onlySeeds && !this.#asking.isHinted(item) && now - since < neighbourMs
  }

  #planBackground(now: number, actions: FetchAction[], news?: readonly number[]): void {
    if (this.#yielding.yields(now, this.#asking.lineBytesPerMs) || !this.#hasRoom(now)) return
    const isReading = this.#yielding.isReading(now)
    const room =
      spareRequestsMax - this.#asking.count('prefetch') - this.#asking.count('background')
    const most = Math.min(room, isReading ? 1 : room)
    const { lateBinding } = this.#mechanisms
    if (lateBinding) this.#takeMore(now, actions)
    if (most > 0 && (news !== undefined || !this.#isExhausted)) {
      this.#askBackground(most, now, actions, news)
    }
  }

  #askBackground(
    most: number,
    now: number,
    actions: FetchAction[],
    news?: readonly number[]
  ): void {
    const { lateBinding } = this.#mechanisms
    const beyondSeeds = lateBinding ? this.#asking.choice.seedsThatPick(now) : 0
    let free = most
    let looked = 0
    for (const item of news ?? this.#wants.background(scanMax, this.#scanSkip)) {
      looked += 1
      if (this.#asking.has(item) || this.#wants.classOf(item) !== 'background') continue
      // Only seeds have it, and they pick for themselves what they send.
      if (this.#have.holderCount(item) <= beyondSeeds && !this.#asking.isHinted(item)) continue
      if (!this.#hasRoom(now)) return
      if (!this.#asking.ask(item, 'background', now, actions)) {
        // Those who have it are busy with our own requests.
        this.#isExhausted = false
        this.#mayFree = true
        continue
      }
      this.#yielding.began(now)
      this.#startOver()
      free -= 1
      if (free === 0) return
    }
    if (news !== undefined) return
    // Nobody has these now: the next search begins behind them, and in the end at the front again.
    const isEnd = looked < scanMax
    this.#isExhausted = isEnd && !this.#mayFree
    if (isEnd) this.#mayFree = false
    this.#scanSkip = isEnd ? 0 : this.#scanSkip + looked
  }

  /** Between two reads the line is kept free for the next; what moves during one is little anyway. */
  #hasRoom(now: number): boolean {
    const mattersNow = this.#yielding.mayRead(now) && !this.#yielding.isReading(now)
    if (!this.#mechanisms.receiveBudget || !mattersNow) return true
    return this.#asking.hasRoom(this.#asking.choice.taking())
  }

  /** Whatever the seeds pick next is as good as any item that nobody else has. */
  #takeMore(now: number, actions: FetchAction[]): void {
    if (!this.#wants.hasBackground) return
    const { choice } = this.#asking
    const isReading = this.#yielding.isReading(now)
    const peers = isReading ? choice.takeOne(now) : choice.takes(takesMax, now)
    for (const peer of peers) {
      actions.push({ type: 'more', peer, class: 'background' })
      this.#yielding.began(now)
    }
  }
}

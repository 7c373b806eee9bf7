/** Rules of the swarm that the bench and the simulator can switch off, to show what each is worth. */
export interface Mechanisms {
  /** A node that has asked for a chunk, and has no answer yet, keeps whoever asks it until it knows. */
  readonly deferral: boolean
  /** Background chunks are not asked of a seed by name: the seed picks one that it never sent. */
  readonly lateBinding: boolean
  /** What many want at once goes from one to the next, instead of from one to several at a time. */
  readonly chains: boolean
  /** A chunk for which a peer waits here is fetched as urgently as the peer wants it. */
  readonly inheritance: boolean
  /** A seed learns from bitfields who has what, so that it need not have sent it itself. */
  readonly rebuilding: boolean
  /** What others have read is fetched before the rest. */
  readonly foresight: boolean
  /** What earlier boots of the image read is fetched ahead of the reads. */
  readonly profile: boolean
  /** What follows reads that follow one another is fetched ahead of them. */
  readonly readAhead: boolean
  /** What nobody waits for is bounded by what is in flight from a node, not only on each connection. */
  readonly sendWindow: boolean
  /** Copies that a seed sends only because somebody was late are a small share of what it sends. */
  readonly lateBudget: boolean
  /** Who must ask elsewhere, of one who must serve it, keeps those who wait for it here. */
  readonly keeping: boolean
  /** Between two reads, the background that a machine has asked for is bounded by its line. */
  readonly receiveBudget: boolean
  /** What others have read is left to them for a while before a seed is asked. */
  readonly neighboursFirst: boolean
  /** To whom a machine was sent for what it reads, it asks for the next read as well. */
  readonly following: boolean
  /** Peers of the own rack come first, and a chunk comes into a rack about once. */
  readonly nearness: boolean
  /** What somebody waits for and is later than usual is asked of a second peer. */
  readonly hedging: boolean
}

export const defaultMechanisms: Mechanisms = {
  deferral: true,
  lateBinding: true,
  chains: true,
  inheritance: true,
  rebuilding: true,
  foresight: true,
  profile: true,
  // Measured in the lab at 10 Mbit/s, 16 machines: boots end after 34 s with it, after 28 without.
  readAhead: false,
  sendWindow: true,
  lateBudget: true,
  keeping: true,
  receiveBudget: true,
  neighboursFirst: true,
  following: true,
  nearness: true,
  hedging: true
}

/** What benches change to show what a rule is worth; nobody else should. */
export interface Tuning {
  /** Those not named are as `defaultMechanisms` has them. */
  readonly mechanisms?: Partial<Mechanisms>
  /** What somebody waits for and stands still for this long is asked for elsewhere. */
  readonly fallbackMs?: number
}

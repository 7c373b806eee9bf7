// The contracts that sibling rooms meet in: swarm, scheduler, disk and nbd never import each other,
// they are joined by these shapes in seed/ and agent/.

/**
 * Names a chunk or a manifest block inside the program: the sha2-256 digest of its plain bytes as 64
 * lower-case hexadecimal digits. Its CID (for people and for the manifest) is made by `image/`.
 */
export type ChunkId = string

/**
 * A chunk as it rests and travels: a zstd frame where that saves space, else the plain bytes.
 * `plainLength` is what `bytes` decode to.
 */
export interface Frame {
  readonly encoding: 'plain' | 'zstd'
  readonly plainLength: number
  readonly bytes: Uint8Array
}

/** Chunk frames at rest, by id. `put` may be called twice with the same id; the first frame stays. */
export interface ChunkStore {
  has(id: ChunkId): boolean
  /** Resolves to undefined when the store does not hold the chunk. */
  get(id: ChunkId): Promise<Frame | undefined>
  put(id: ChunkId, frame: Frame): Promise<void>
}

/** Somewhere that verified plain bytes can be had from, however far away: a store, a swarm. */
export interface ChunkSource {
  /** Waits as long as nobody can deliver; rejects only when `signal` aborts. */
  fetch(id: ChunkId, signal?: AbortSignal): Promise<Uint8Array>
}

/**
 * A disk of `size` bytes. Offsets and lengths are bytes, any alignment; the caller has checked that
 * they lie inside the device. What `read` returns is the caller's: it is not written to afterwards. `write` keeps no reference to `data` once it has resolved.
 */
export interface BlockDevice {
  readonly size: number
  /** `into`, of that length, may be used for the answer in place of new memory. */
  read(offset: number, length: number, signal?: AbortSignal, into?: Buffer): Promise<Uint8Array>
  /**
   * As `read` into the whole of `into`, where that needs no waiting and nothing of the range is known to
   * be zeros; false, and nothing is said of what `into` holds then, where `read` has to be called.
   */
  readNow?(offset: number, into: Buffer): boolean
  write(offset: number, data: Uint8Array): Promise<void>
  /**
   * As `write`, where that needs no waiting: takes a copy of the data, which every later operation sees. If it
   * turns out later that it cannot be written, flushes fail from then on. False where `write` has to be called.
   */
  writeNow?(offset: number, data: Uint8Array): boolean
  /** Resolves when every write that had resolved before the call is on stable storage. */
  flush(): Promise<void>
  /**
   * What is known of a range of at least one byte without reading it: runs from `offset` on, each of
   * at least one byte, at least one of them; they may end before the range does, never after it.
   */
  extents?(offset: number, length: number, signal?: AbortSignal): Promise<readonly Extent[]>
  /** Makes a range read as zeros, faster than by writing them. */
  zero?(offset: number, length: number): Promise<void>
  /** The bytes of a range are not needed any more: what they read as afterwards is anybody's guess. */
  trim?(offset: number, length: number): Promise<void>
  /** Brings a range near, so that it can be read at once; resolves when it is. */
  prefetch?(offset: number, length: number, signal?: AbortSignal): Promise<void>
}

/** A run of a device's bytes of which the same is known. */
export interface Extent {
  readonly length: number
  /** It reads as zeros. */
  readonly zero: boolean
  /** Nothing is kept for it on the device. */
  readonly hole: boolean
  /** Here as the image has it, to be fetched first, or here as the machine wrote it. */
  readonly presence: 'local' | 'remote' | 'written'
}

/** Lower is sooner: somebody waits for it, it is soon to be read, it is the rest of the stream. */
export const requestClasses = ['urgent', 'prefetch', 'background'] as const
export type RequestClass = (typeof requestClasses)[number]

export function isSooner(a: RequestClass, b: RequestClass): boolean {
  return requestClasses.indexOf(a) < requestClasses.indexOf(b)
}

/**
 * What a node can say of a chunk that a peer asks it for. `sought`: it has asked for the chunk itself
 * and nobody has promised it yet.
 */
export type Holding = 'held' | 'promised' | 'sought' | 'absent'

export interface Want {
  readonly peer: string
  readonly id: ChunkId
  readonly class: RequestClass
  /** The peer was sent elsewhere in vain: it must be served by who can. */
  readonly insist: boolean
}

export type ServeDecision =
  | { readonly kind: 'send' }
  /** Only for a chunk promised or sought: the peer gets it as soon as it is here and verified. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'redirect'; readonly to: readonly string[] }
  | { readonly kind: 'refuse'; readonly reason: 'not-held' | 'busy' }

/** Who gets a chunk from this node, who waits for it here, who is sent elsewhere. `now` in ms. */
export interface ServePolicy {
  decide(want: Want, holding: Holding, now: number): ServeDecision
  /** The last byte of the chunk has been handed to the peer's connection. */
  sent(peer: string, id: ChunkId, now: number): void
  /** The peer was to get the chunk from us and will not: it cancelled, or we gave it up. */
  dropped(peer: string, id: ChunkId): void
  /** The peer says that it holds the chunk. */
  holds(peer: string, id: ChunkId): void
  gone(peer: string): void
}

/** How much a node sends at a time of what nobody waits for. `request` is the peer's. */
export interface SendPolicy {
  /** Whether such a frame may go out to the peer now; one that has its place may. */
  mayBegin(peer: string, request: number, requestClass: RequestClass, now: number): boolean
  /** How much of a frame is handed to a connection at a time: what comes to wait then waits for that. */
  segmentBytes?(now: number): number
  /** Whether this node has no time for what nobody waits for. */
  yields(now: number): boolean
  began(peer: string, request: number, bytes: number, now: number): void
  /** Somebody waits for a frame that goes out now. */
  urgent(now: number): void
  /** Some bytes of the frame have been handed to the peer's connection. */
  moved(peer: string, request: number, now: number): void
  /** The peer has all of it, or wants it no more. */
  ended(peer: string, request: number, now: number): void
  gone(peer: string): void
}

/** What a seed gives to a peer that takes whatever it is given. */
export interface GivePolicy {
  next(peer: string, imageId: ChunkId, now: number): Gift
}

export type Gift =
  | { readonly kind: 'chunk'; readonly id: ChunkId }
  /** Not to this peer now. */
  | { readonly kind: 'later' }
  /** Every chunk has left the seed. */
  | { readonly kind: 'none' }

/** Milliseconds that only ever grow; no relation to the time of day. */
export interface Clock {
  now(): number
}

/** A clock that also wakes; the simulator has one of its own. */
export interface Timers extends Clock {
  /** Runs it once, so many milliseconds from now, unless what this returns is called before. */
  after(delayMs: number, run: () => void): () => void
}

/** Uniform in [0, 1). */
export interface Random {
  next(): number
}

export type LogFields = Readonly<Record<string, unknown>>

/** Structured log: an event in a few words, then its facts. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
}

/**
 * What a machine says of a disk that is whole and verified. Bytes but for `seconds`; what was moved and how
 * long it took is of the run that completed the disk.
 */
export interface CompletionFigures {
  /** Read from the disk, compared with the image, and the same. */
  readonly verifiedBytes: number
  /** In blocks that the machine wrote: its own. */
  readonly machineWrittenBytes: number
  /** Other blocks of chunks that the machine wrote into and whose pristine frame there was no room for. */
  readonly unverifiableBytes: number
  readonly seconds: number
  readonly bytesFromSeed: number
  readonly bytesFromPeers: number
  readonly bytesLocal: number
}

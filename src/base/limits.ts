import { BootswarmError } from './errors.ts'

const KiB = 1024
const MiB = 1024 * KiB

/**
 * Every limit, with its unit in its name and its reason beside it. Defaults are written here and
 * nowhere else; the relations that the code relies on are asserted below, when the module loads.
 */
export const limits = {
  // Image and manifest.
  /** Measured on a Debian 12 boot: smaller chunks cost requests, larger ones bytes (DESIGN, Image). */
  chunkBytesDefault: 128 * KiB,
  chunkBytesMin: 16 * KiB,
  chunkBytesMax: 4 * MiB,
  /** The unit in which a disk and its NBD clients think; an image is a whole number of them. */
  sectorBytes: 512,
  /** Presence is tracked in the block size of nearly every file system. */
  blockBytes: 4 * KiB,
  /** 4,096 digests of 32 bytes: a manifest page is about as large as a default chunk. */
  pageChunksMax: 4096,
  /** 8 TiB in default chunks; keeps the manifest root near 1 MiB. */
  chunksMax: 64 * MiB,
  /** What a manifest block (root or page) may decode to. */
  manifestBlockBytesMax: 4 * MiB,
  nameLengthMax: 128,
  /** Chunks that a boot profile names: 2 GiB in default chunks; what reads more is no boot. */
  bootChunksMax: 16_384,
  /** A signed boot profile: 8 bytes a chunk, and what signing adds. */
  profileBytesMax: 136 * KiB,
  /** Machines whose last boot of an image a seed remembers; more would add nothing to a median. */
  bootReportsMax: 8,
  /** A boot is over when so long nothing has been read that was not read before. */
  bootQuietMs: 60_000,
  /** A signed release: two names, a CID, two numbers, a signature. */
  releaseBytesMax: 4 * KiB,

  /** Plain chunks of an image that is read without a target disk, kept for the next reads. */
  imageCacheBytes: 32 * MiB,
  /** The same where the chunks lie on the machine's own disk too, beside an agent that has work to do. */
  imageCacheBesideBytes: 8 * MiB,

  // Store.
  /** A pack that has grown to this is followed by another, so that one can be copied or cleared. */
  packBytesMax: 1024 * MiB,
  /** Records written but not yet flushed and indexed: what a crashed import does again. */
  unsyncedBytesMax: 64 * MiB,
  /** How long a chunk that was put may stay unknown to other processes. */
  unsyncedMs: 1_000,

  // NBD.
  /** What NBD's proto.md asks a server to take without negotiation. */
  nbdRequestBytesMax: 32 * MiB,
  nbdOptionBytesMax: 64 * KiB,
  nbdOptionsMax: 64,
  nbdConnectionsMax: 256,
  nbdHandshakeMs: 10_000,
  /** Read and write payload under way for one connection, and replies that it has not taken yet. */
  nbdConnectionBytesMax: 64 * MiB,
  /** What is read at once of what a client has sent. */
  nbdReadBufferBytes: 256 * KiB,
  /** What a client's socket takes at once; the kernel counts it twice. */
  nbdSendBufferBytes: 1 * MiB,
  /** While so much of its replies waits for one client to take it, no further request is begun. */
  nbdUnsentBytesMax: 1 * MiB,
  /** As nbdConnectionBytesMax, for all connections of a server together: an agent has 200 MB in all. */
  nbdServerBytesMax: 128 * MiB,
  /** A client that takes no reply for this long, while others wait for the memory, is dropped. */
  nbdStuckMs: 10_000,
  /** Runs of blocks in one answer to a query of their status. */
  nbdExtentsMax: 4_096,
  /** Zeros are written in pieces of this size where the device has no faster way. */
  nbdZeroPieceBytes: 1 * MiB,
  /** A kernel has 128 requests under way on a connection, fio and nbdcopy fewer. */
  nbdConnectionRequestsMax: 1_024,
  /** Read from a connection whose requests have to wait, so that its end is noticed behind them. */
  nbdReadAheadBytesMax: 256 * KiB,
  /** Memory kept for the next payloads: 8 of 1 MiB, the largest that kernels ask for and send. */
  nbdIdleBufferBytesMax: 8 * MiB,
  /** At close: how long requests may take to finish, and then once more for replies to be taken. */
  nbdCloseMs: 1_000,

  /**
   * How often nbd.ko looks for requests that have to be sent again after a reconnection; of one that has
   * waited so long it says 'Possible stuck request' on the console, though it may only be starved.
   */
  nbdKernelRetryMs: 10_000,

  // Disk.
  /** Frames put aside before the machine's first write into a chunk (a Debian boot needs 17 chunks). */
  asideBytesMax: 64 * MiB,
  /** Chunks in memory on their way there: beyond it the machine's next write into a new one waits. */
  asideComingBytesMax: 8 * MiB,
  /** The least room for writes that are discarded, on a device: a desktop's first minutes. */
  overlayBytesMin: 16 * MiB,
  /** How long a chunk that was written may stay unrecorded in the presence journal. */
  journalIntervalMs: 1_000,
  /** Blocks written by the machine and not recorded yet, of which checksums are kept: 64 MiB. */
  unrecordedBlocksMax: 16_384,
  /** Chunks that are marked as about to be written into at once: a flush each 8 MiB. */
  touchedChunks: 64,
  /**
   * What the stream and the verification may do to the disk in a second while the machine uses it, and
   * while an answer to the machine takes longer than `machineWaitsMs`: then only so much that a busy
   * machine completes, too.
   */
  backgroundBusyBytes: 8 * MiB,
  /** How much of that goes at once. */
  backgroundBurstBytes: 1 * MiB,
  backgroundFloorBytes: 1 * MiB,
  machineWaitsMs: 20,
  /**
   * Of one processor, while others want it: what an agent uses for its background, beyond the floor. A slow
   * machine boots on the rest.
   */
  backgroundProcessorShare: 0.15,
  /** So long after its last read or write the machine counts as using its disk. */
  machineBusyMs: 100,
  /** On a full file system: chunks that wait in memory for room, and how often is looked for it. */
  heldChunksMax: 32,
  roomLookMs: 1_000,
  /** Both halves of the presence journal: a checkpoint every thousand flushes or so. */
  journalBytes: 8 * MiB,
  /** The agent's own blob in the disk metadata: machine key, certificate, peers it knew. */
  identityBytesMax: 64 * KiB,

  // Swarm: what libp2p sets for the open internet, set for a rack that powers on at once.
  /** One agent process a machine, but a test lab or a NAT puts a whole room behind one address. */
  inboundConnectionsPerSecond: 2_000,
  pendingInboundConnectionsMax: 1_024,
  connectionsMax: 2_048,
  dialsParallel: 32,
  /** The first dial of a peer; each in vain gives the next twice as long, up to the second. */
  dialMs: 5_000,
  dialMsMax: 40_000,
  /** One chunk stream a connection, plus a second while two dials cross, plus an enrolment. */
  streamsPerConnectionMax: 4,
  /** libp2p aborts a stream with more than this unread; requests are bounded far below it. */
  unreadBytesMax: 4 * MiB,
  helloMs: 5_000,
  /** From an inbound connection to its streams: of a thousand that dial at once the last waits for its turn. */
  admissionMs: 45_000,
  /** Simulated boots of 256 machines end 8 % sooner with 4 than with all at once. */
  handshakesParallel: 4,
  /** A turn ends then, whether the handshake does or not: 30 times what one takes. */
  handshakeTurnMs: 100,
  enrolMs: 10_000,
  /** A wire message but for its segment bytes: hello, peers, bitfield of a page of chunks. */
  messageBytesMax: 256 * KiB,
  /** Data goes out in pieces of this size, so that an urgent one waits for one piece, not a chunk. */
  segmentBytes: 16 * KiB,
  /** The same on a quick line, where a larger piece goes by as quickly and costs less (bench-wire.md). */
  segmentBytesMax: 32 * KiB,
  /** Wants, or answers, that go in one message: as many redirects with the longest addresses fit it. */
  listMessagesMax: 24,
  /** Requests that one peer may have waiting at us. */
  requestsPerPeerMax: 256,
  /** What may be handed to one peer's socket and not yet taken: it cannot be overtaken. */
  sendBufferPeerBytes: 64 * KiB,
  /**
   * One write to a socket at the most: four TLS records. Everything that is sent in one turn of the
   * event loop goes out in as few of them as there can be.
   */
  writeBlockBytes: 64 * KiB,
  /** A write up to this is copied, so that its block is free at once; larger ones go out of their block. */
  smallWriteBytesMax: 4 * KiB,
  /** One read of a TLS connection, which hands out a record at a time. */
  readBufferBytes: 16 * KiB,
  /** Blocks kept for the next writes: 2 MiB. */
  freeBlocksMax: 32,
  /** Received before a peer is told that it may send more; yamux would tell it after every frame. */
  windowUpdateBytes: 128 * KiB,
  /**
   * What a peer may send over a link before it is told so: more than yamux begins with, since a sender that
   * stops for each update wakes both sides for every chunk. What a link may send at all is what was asked for.
   */
  linkWindowBytes: 1 * MiB,
  /** Control messages that a peer has not taken; a peer beyond it does not read and is cut off. */
  unsentBytesMax: 4 * MiB,
  closeMs: 1_000,
  /** Below it a chunk takes seconds, and peers that wait for it go elsewhere again and again. */
  rateBytesPerSecondMin: 64_000,
  /** Chunks that lie ready for the one thread that compresses what peers wait for. */
  encodesParallel: 4,
  /** Frames kept as received, to be relayed without compressing again; an agent has 200 MB in all. */
  relayCacheBytes: 8 * MiB,
  /** Memory kept for the next copies of frames that are being sent. */
  relayFreeBytesMax: 4 * MiB,
  /**
   * Memory for incoming chunks that is kept for the next ones: what an agent has in flight at full speed
   * and waiting for its disk. What is dropped instead is found only by marking two heaps.
   */
  verifierFreeBytesMax: 32 * MiB,
  /** A simulated copy to 64 machines ends at 1.33 times own N = 1 with 8, at 1.18 with 12, at 1.11 with 20. */
  neighboursMax: 20,
  /**
   * For the first while: each is a handshake when a lab is switched on, and news of every chunk. In the lab
   * bench 16 machines on two processors boot in 47 s with 8 and in 53 s with 20.
   */
  neighboursFirst: 8,
  neighboursFirstMs: 5_000,
  peersIntroducedMax: 32,
  /** How often a machine that reaches no seed asks the network for one. */
  discoveryIntervalMs: 2_000,
  /** Seeds that a machine has found so; any host on the network can say that it is one. */
  seedsFoundMax: 32,
  /** What a machine says of where it is: `room/rack`. */
  locationLengthMax: 64,
  /** Peers that an agent remembers the addresses of. */
  peersKnownMax: 256,
  /** A link that a redirect made, and over which nothing was asked for so long, is closed. */
  errandIdleMs: 10_000,
  /** What was read is collected this long; a shorter time does not make the simulated lab quicker. */
  readIntervalMs: 75,
  /**
   * News of so many items goes out soon, of fewer later: five times fewer messages on a line of 5
   * Mbit/s, and a fast one brings so many in no time.
   */
  haveItemsEnough: 8,
  haveIntervalMs: 100,
  haveIntervalMsMax: 1_000,
  /** Seeds, which hear from everybody, are told in fewer messages; a first copy lapses later than this. */
  haveSeedIntervalMs: 500,
  /** A machine whose agent has received so much, or run for so long, has booted: 23 to 26 MB are usual. */
  bootBytesUsual: 64 * MiB,
  bootMsUsual: 120_000,
  /** A read that nobody could answer for this long is worth a line on the console. */
  starvedMs: 2_000,
  /** So long nothing has come of what is missing, though peers are here: worth a line as well. */
  stalledMs: 10_000,
  pingIntervalMs: 2_000,
  /** A peer that sends nothing for this long, pings unanswered, is gone. */
  peerSilentMs: 10_000,
  /** Frames loaded for one peer and class before it takes them: a peer may ask for much and read little. */
  framesAheadMax: 4,
  /** Addresses of one peer: all neighbours with the longest addresses there are fit one message. */
  addressesPerPeerMax: 16,

  // Control.
  /** Manifests that a seed keeps in memory: 40 bytes a chunk. */
  manifestsHeldMax: 8,
  /** Of an agent's control socket: a hand-over and somebody who looks on; a request is one word. */
  controlClientsMax: 8,
  controlLineBytesMax: 256,
  controlRequestMs: 5_000,
  /** How long an agent that is done waits for a seed to say what the image's name means now. */
  nameAnswerMs: 5_000,
  controlAnswerBytesMax: 16 * MiB,
  /** Machines that a seed remembers; those that have gone longest ago make room. */
  machinesMax: 10_000,
  /** A signed completion report: two ids, seven numbers, a signature. */
  completionBytesMax: 1 * KiB,

  // Booting over the network.
  /** Of a kernel, an initramfs or an agent archive. */
  netbootFileBytesMax: 512 * MiB,
  /** Of the seed, in a ticket on a kernel's command line, which has 2,048 bytes on x86. */
  bootTicketAddressesMax: 3,
  /** Downloads at a time: with more of them each machine of a rack waits for the last one's. */
  netbootDownloadsMax: 16,
  /** And so many machines that wait for one. */
  netbootWaitingMax: 2_048,
  /** A machine that takes nothing for so long has been switched off. */
  netbootSilentMs: 90_000,
  /** One file from one source: 500 MB at 4 Mbit/s. */
  netbootLoadMs: 1_000_000,
  netbootHttpPort: 4912,
  netbootAgentPort: 4913,
  /** Processes of one seed: more than fill any line that a host has. */
  seedProcessesMax: 16,
  /** From the port of one of them to the next one's. */
  seedProcessPortStep: 10,
  seedPort: 4910,
  seedHttpPort: 4911
} as const

function assertRelation(holds: boolean, relation: string): void {
  if (!holds) throw new BootswarmError('ERR_INTERNAL', `limits.ts breaks its own rule: ${relation}`)
}

assertRelation(limits.chunkBytesMin % limits.blockBytes === 0, 'a chunk is whole blocks')
assertRelation(limits.blockBytes % limits.sectorBytes === 0, 'a block is whole sectors')
assertRelation(limits.chunkBytesMin <= limits.chunkBytesDefault, 'default chunk above the minimum')
assertRelation(limits.chunkBytesDefault <= limits.chunkBytesMax, 'default chunk below the maximum')
assertRelation(
  (limits.chunksMax / limits.pageChunksMax) * 48 <= limits.manifestBlockBytesMax,
  'the largest manifest root fits its limit'
)
assertRelation(limits.pageChunksMax * 33 <= limits.manifestBlockBytesMax, 'a page fits its limit')
assertRelation(
  limits.nbdRequestBytesMax <= limits.nbdConnectionBytesMax,
  'the largest NBD request fits its connection'
)
assertRelation(
  limits.nbdConnectionBytesMax <= limits.nbdServerBytesMax,
  'one NBD connection fits its server'
)
assertRelation(limits.segmentBytes <= limits.segmentBytesMax, 'a usual segment is allowed')
assertRelation(limits.segmentBytesMax <= limits.sendBufferPeerBytes, 'a segment fits a send buffer')
assertRelation(
  limits.segmentBytesMax * 2 <= limits.writeBlockBytes,
  'a segment and its head fit a write'
)
assertRelation(limits.linkWindowBytes < limits.unreadBytesMax, 'a window fits the unread limit')
assertRelation(
  limits.windowUpdateBytes + limits.writeBlockBytes <= 192 * KiB,
  'a peer is let go on before it has used up the 256 KiB that yamux begins with'
)
assertRelation(
  limits.bootChunksMax * 8 + 4 * KiB <= limits.profileBytesMax,
  'the longest boot profile fits its limit'
)
assertRelation(
  limits.profileBytesMax + 4 * KiB < limits.messageBytesMax,
  'a profile fits a message'
)
assertRelation(limits.messageBytesMax < limits.unreadBytesMax, 'a message fits the unread limit')
assertRelation(limits.dialMsMax < limits.admissionMs, 'who gives up first is the dialler')
assertRelation(limits.pingIntervalMs * 3 < limits.peerSilentMs, 'three pings before a peer is gone')

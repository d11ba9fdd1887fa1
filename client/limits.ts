/**
 * Every bound and default of the SDK, in one place (I15). Options override the defaults; the caps are fixed.
 */
import { RECORD_LIMITS } from "../src/record/limits.ts";

export const CLIENT_LIMITS = {
  /** How long one call may take with all its retries. */
  callTimeoutMs: 30_000,
  /** How long one attempt may wait for its answer before it is given up and made again. */
  attemptTimeoutMs: 10_000,
  /** How long the server may hold a read at the tail until something arrives. */
  longPollMs: 25_000,

  backoffFirstMs: 50,
  backoffMaxMs: 2_000,

  /** One POST of commands: as many frames as fit. A larger single command travels alone. */
  postBytesMax: 4 * 1024 * 1024,
  postFramesMax: 1_024,
  /** Frames gathered into one WebSocket message; not more, so that the server begins with the first ones meanwhile. */
  messageFramesMax: 64,
  /** Of such a message; a larger frame travels alone. */
  messageBytesMax: 64 * 1024,
  /** Kept by each connection for its messages; a larger one has memory of its own. */
  messageBufferBytes: 256 * 1024,
  /** Commands that wait for their POST; beyond these a call fails with `overloaded`. */
  queuedCommandsMax: 16_384,
  queuedBytesMax: 64 * 1024 * 1024,
  /** Reads and long-polls in flight; beyond these a read fails with `overloaded`. */
  readsInFlightMax: 1_024,
  /** What one call asks of many streams, so many of them at a time. */
  askedTogetherMax: 16,
  /** A connection that is silent for this long is asked whether it is there. */
  pingAfterMs: 10_000,
  /** Frames of one message from the server. */
  framesPerMessageMax: 1_048_576,
  /** A whole answer: a read's bytes, and a batch that was larger than asked for. */
  responseBytesMax: 96 * 1024 * 1024,
  /** What is read of an error's body. */
  problemBytesMax: 64 * 1024,

  /** One command's answer is kept for a producer's newest 1,024 sequences (I8); stay well below. */
  commandsInFlightMax: 512,
  /** Single appends that travel as one batch, or as one command: as many, of so many bytes. Not more, so that the server begins meanwhile. */
  runAppendsMax: 256,
  runBytesMax: 64 * 1024,
  /** Sessions of single appends kept open, one a stream; the idle one used longest ago makes room. */
  appendSessionsMax: 1_024,

  /** A batch: sealed when it has this much, whatever the linger. */
  batchBytesMax: 256 * 1024,
  batchRecordsMax: 8_192,
  /** A batch whose records decode to more than this is refused, whatever it claims. */
  decodedBatchBytesMax: 64 * 1024 * 1024,
  /** Batches share memory in pieces of this size; so many are kept while nothing is in them. */
  batchSlabBytes: 256 * 1024,
  freeSlabsMax: 16,
  /** What batches of several calls are made in, at first; so many are kept while nothing is in them. */
  encoderBytes: 4 * 1024,
  freeEncodersMax: 16,
  /** One command with all its batches, as the server takes it. */
  frameBytesMax: 17 * 1024 * 1024,
  /** One sealed batch, as the server takes it. */
  sealedBatchBytesMax: 16 * 1024 * 1024,
  /** One record with its key and headers, as the server takes it. */
  recordBytesMax: RECORD_LIMITS.recordBytesMax,
  /** What a producer or an append session holds unacknowledged. */
  unacknowledgedBytesMax: 16 * 1024 * 1024,
  unacknowledgedCommandsMax: 65_536,
  /** Each held record costs memory beyond its bytes. */
  unacknowledgedRecordsMax: 262_144,

  /** What a reader fetches ahead of its consumer: two chunks of half of it. */
  prefetchBytes: 4 * 1024 * 1024,
  prefetchBytesMin: 8 * 1024,
  /** Records that are decoded before any of them is consumed: so many, and what the last batch of them has beyond that. */
  decodedRecordsMax: 8_192,
  /** Of a listing; the server may give fewer. */
  listedStreamsPerPage: 1_000,
  listedGroupsPerPage: 1_000,
  listedAppsPerPage: 1_000,
  /** A member renews its session this often: several times a lease, and not seldom. */
  heartbeatsPerLease: 3,
  heartbeatEveryMsMax: 3_000,
  /** How often a member commits by itself how far it is. */
  ackEveryMs: 1_000,
  /** What a member or taker does when it ends (commit, give back, leave) is given up after this; leases end by themselves. */
  groupCloseMs: 5_000,
  /** Operations of one transaction, as the server takes them. */
  transactionOperationsMax: 1_024,
  /** Records that one command settles, and those that wait to be settled. */
  settledPerCommandMax: 1_024,
  settlementsWaitingMax: 65_536,
  /** Streams asked at a time for where a time begins in them. */
  locatesTogether: 16,
  /** Producer ids that transactions leave to later ones: as many as were under way at once, up to this. */
  idleTransactionTagsMax: 64,
  /** The newest reports on an app's replicas that are looked through: each worker's last one is among them. */
  reportsReadMax: 256,
  /** How often it is looked whether a stream is there that a task waits for. */
  missingStreamEveryMs: 200,
  /** How often a follow hears that its streams are silent, where it asks for marks. */
  markEveryMs: 20,
} as const;

/** A batch's own header and a record's framing are small; count them so that empty records are not free. */
export const RECORD_OVERHEAD_BYTES = 16;

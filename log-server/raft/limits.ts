/** The bounds of the Raft core (I15), and its defaults. Time is counted in ticks; how long a tick is the driver decides. */

export type RaftLimits = {
  /** Bytes that wait for commit at a leader; what would begin beyond this is refused. */
  readonly uncommittedBytesMax: number;
  /** Payload of one append message; one entry always fits, however large it is. */
  readonly messageBytesMax: number;
  /** Append messages under way to one follower, not yet answered. */
  readonly inflightMessagesMax: number;
  /** Payload under way to one follower; a message may be begun while less is. */
  readonly inflightBytesMax: number;
  /** Of durable, committed entries that are kept in memory, to be applied or for followers that have yet to get them. */
  readonly keptBytesMax: number;
  /** Reads that wait to be confirmed, at a leader for all nodes together, at a follower for its own. */
  readonly readsMax: number;
  /** Of its own time-outs, how many a node that is not to lead lets pass for others before it stands all the same. */
  readonly timeoutsPassedMax: number;
  /** Messages that wait for the hard state to be durable; the oldest are dropped, as a network may. */
  readonly heldMessagesMax: number;
};

export const RAFT_LIMITS: RaftLimits = {
  uncommittedBytesMax: 64 * 1024 * 1024,
  messageBytesMax: 1024 * 1024,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * 1024 * 1024,
  keptBytesMax: 32 * 1024 * 1024,
  readsMax: 65_536,
  timeoutsPassedMax: 5,
  heldMessagesMax: 1_024,
};

/** A batch up to this size is copied beside others when it is sent; a larger one goes as it is. */
export const GATHERED_BATCH_BYTES_MAX = 4 * 1024;

/** What a decoder believes of a peer's message at most. */
export const MESSAGE_LIMITS = {
  nodeIdBytesMax: 255,
  entriesMax: 65_536,
  batchesMax: 65_536,
  entryHeadBytesMax: 64 * 1024 * 1024,
} as const;

/** Members of a configuration, voters and learners together. */
export const MEMBERS_MAX = 64;

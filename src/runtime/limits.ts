/** Bounds of what runs tasks (I15), and what it does unless it is set up otherwise. */

export const RUNTIME_LIMITS = {
  /** Outputs that no commit is known to cover: at one of these a replica reads on only when one does. */
  pendingOutputsMax: 65_536,
  pendingBytesMax: 32 * 1024 * 1024,
  /** What holding an output costs besides its bytes. */
  outputOverheadBytes: 128,
  /** Of outputs that are covered, until the commit itself is read and compared. */
  chainsMax: 262_144,
  /** What one turn of the loop does, so that others have theirs: records, timers, digest points. */
  stepsPerTurnMax: 512,
  /** Inputs and outputs that a task gathers before they are taken from it; and bytes of outputs, but for what one step brings about. */
  untakenMax: 8_192,
  untakenBytesMax: 4 * 1024 * 1024,

  /** What one commit takes along at most, unless a single record or timer brought about more. */
  commitOutputsMax: 16_384,
  commitBytesMax: 4 * 1024 * 1024,
  commitStreamsMax: 1_000,
  /** Of what a node is, as it is deployed, so that the largest topology can be. */
  shapeTextLengthMax: 240,
  /** The newest digest points that it names. */
  commitDigestsMax: 16,

  /** Between the beginnings of two commits of a replica. */
  commitEveryMsDefault: 3,
  /** Without a commit for so long, a replica that waits for one makes it, until it knows how soon they come. */
  takeoverMsDefault: 60,
  /**
   * Then it waits, at least and at most, for this part and for so many times as long: some two seconds, for whoever commits on a cluster that is
   * busy takes hundreds of milliseconds, and each commit that is made for it and refused makes that worse.
   */
  takeoverSoonerMax: 3,
  takeoverLaterMax: 32,
  /** Each adds up to this part of it, so that of several one is first. */
  takeoverSpread: 2 / 3,
  /** Between two commits that have nothing but a cursor or a digest point. */
  cursorEveryMsDefault: 1_000,
  /** The log is told within this when something falls due, where that is sooner than it knows. */
  dueToldWithinMs: 20,
  unknownRetryMs: 20,
  pausedRetryMs: 500,
  /** Between two looks at how far the task is committed, while there is no room for more outputs. */
  roomPollMs: 50,
  /** Between two tries to learn how the task stands. */
  factsRetryMs: 100,

  /** What holding a changed row costs besides its bytes until it is on disk, nearly: of small rows that is most of it. */
  rowOverheadBytes: 512,
  /** State on disk is brought up to date when so much waits for it, or now and then. */
  flushBytes: 16 * 1024 * 1024,
  /** With so much that is not on disk, because it is being written or is further than any commit, a replica reads on only when it is less. */
  unflushedBytesMax: 64 * 1024 * 1024,
  flushEveryMs: 1_000,
  /** Of a store on disk that is opened, looked at without letting others have their turn. */
  openedRowsPerTurn: 1_024,

  /** What a replica remembers of its own, to answer objections: digest points, and chains at commits. */
  pointsKeptMax: 256,
  /** Points that are in dispute, and voices on one. */
  disputesMax: 64,
  voicesMax: 64,
  /** Between two points that a replica brings up by itself while it is open who is wrong, and before it says again what nobody may have heard. */
  disputeAgainMs: 1_000,
  /** For which a replica that began with something else than was committed last waits for another that has the same as it. */
  doubtMs: 3_000,

  /** What stood in the rows that a replica changed last, for it to say where it differs from others. */
  changedRowsBytesMax: 4 * 1024 * 1024,
  /** Rows that it tells the others then, in characters, and of each value. */
  statedCharactersMax: 1024 * 1024,
  evidenceCharactersMax: 1_000,
  /** Until the others have answered; what is not known by then stays so. */
  evidenceWithinMs: 2_000,

  /** Of what an error says, in a dead letter. */
  errorCharactersMax: 1_000,
} as const;

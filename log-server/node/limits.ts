/** Every bound of the node's loop (I15). Sizes in bytes, times in milliseconds. */

export type NodeLimits = {
  /** Proposals waiting to be encoded; more are refused as `overloaded`. */
  readonly proposalsMax: number;
  readonly proposalBytesMax: number;
  /** One batch, as encoded; more is `batch-too-large`. */
  readonly batchBytesMax: number;
  /** Commands join one entry up to this; a single larger command is an entry of its own. */
  readonly entryBytesMax: number;
  readonly entryCommandsMax: number;
  /** Entries proposed for one group commit. */
  readonly groupBytesMax: number;
  /** Read back from disk at a time while the state machine catches up. */
  readonly replayBytesMax: number;
  /** Readers waiting for a change, over all streams. */
  readonly waitersMax: number;
  /** Waiting for a group to have something to take, over all groups. */
  readonly groupWaitersMax: number;
  /** Dead records read and moved at a time, of one stream and over all. */
  readonly deadLettersPerStream: number;
  readonly deadLettersTogether: number;
  /** After one could not be moved, for want of its stream or of room, this long until the next try. */
  readonly deadLetterRetryMs: number;
  /** Log times of records that groups have not processed, kept for whoever asks for lags again. */
  readonly lagTimesMax: number;
  /** Of one answer: records looked up for their log time. The lag in time of further streams is not told. */
  readonly lagLookUpsMax: number;
  /** Streams followed together with others, over all followers. */
  readonly followedStreamsMax: number;
  /** Read ahead by one merge of many streams, over all of them. */
  readonly mergeAheadBytesMax: number;
  /** And by all merges together. */
  readonly mergesAheadBytesMax: number;
  /** One read of a merge stops after the batch that reaches this. */
  readonly mergeReadBytesMax: number;
  /** Reads of one merge under way together: how much may come beyond what it reads ahead. */
  readonly mergeReadsMax: number;
  /** Linearizable reads waiting for their point. */
  readonly barriersMax: number;
  /** One that has no point after this is refused; at the latest after twice as long. */
  readonly barrierMsMax: number;
  /** The image is saved after this much of the log was applied, or this many rows changed, or this long. */
  readonly imageEveryBytes: number;
  readonly imageEveryRows: number;
  readonly imageEveryMs: number;
  /** Changed rows kept for the next save when one failed; with more, the image is given up and saved whole. */
  readonly unsavedRowsMax: number;
  /** A snapshot is written after this much of the log was applied since the last one. */
  readonly snapshotEveryBytes: number;
  /** How long reads' refreshes of sliding expiry are collected before they are proposed together. */
  readonly touchDelayMs: number;
  readonly touchesMax: number;
  /**
   * One step of Raft's time; with one voter none is counted. A leader is heard every `heartbeatTicks`, and missed after
   * `electionTicks` to twice as many.
   */
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** What is committed, and has no entries behind it to carry the word, is told to followers after this. */
  readonly announceMs: number;
  /** What a leader had proposed when it lost that office is given up after this, if it is not seen committed. */
  readonly unsettledMsMax: number;
  /** A read at a follower waits so long for the leader's clock to reach what is due by its own. */
  readonly dueElsewhereMsMax: number;
  /** A node without a cluster waits so long for each answer of the others, and asks again after this. */
  readonly foundingCallMs: number;
  readonly foundingRetryMs: number;
  /** A step of a change of the cluster is waited for so long. */
  readonly clusterChangeMsMax: number;
  /** The other nodes are asked for their clocks, and what they support, so often, and have so long to answer. */
  readonly factsEveryMs: number;
  readonly factsAnswerMsMax: number;
  /** An answer that takes longer tells nothing of the clock … */
  readonly clockAnswerMsMax: number;
  /** … and what was measured counts for so long. */
  readonly clockKeptMs: number;
  /** A node whose clock is further than this from the voters' median does not stand for election. */
  readonly clockOffMsMax: number;
  /** Asked of other nodes and not answered yet, and what these requests take; more are refused as `overloaded`. */
  readonly callsMax: number;
  readonly callsBytesMax: number;
  /** Of other nodes' requests, handled at a time. */
  readonly callsHandledMax: number;
  readonly callsHandledBytesMax: number;
  /** Remembered, lest a request be handled twice: lives of other nodes, and of each the newest requests. */
  readonly callLivesKept: number;
  readonly callIdsKept: number;
  /** How often it is looked whether damage is known that others can make good. */
  readonly repairEveryMs: number;
  /** What nobody could give is asked for again after this. */
  readonly repairRetryMs: number;
  /** How often it is looked whether this node can go on; and how long it waits for those who may make good what is in its way. */
  readonly rebuildEveryMs: number;
  readonly rebuildAfterMs: number;
  /** Damage that nobody makes good has the log shipped anew after this … */
  readonly renewAfterMs: number;
  /** … where the leader agrees; it is asked so often. … */
  readonly renewAskEveryMs: number;
  /** … From one try to the next it is so long, then twice as long each time, up to the greatest; that long after one that helped. */
  readonly renewPauseMs: number;
  readonly renewPauseMsMax: number;
  /** Without anything that comes for so long a try has failed. */
  readonly renewStallMs: number;
  /** What the log gets meanwhile is shipped in further passes; after one as short as this no entries are taken any more, … */
  readonly renewCloseMs: number;
  /** … for no longer than this. */
  readonly renewClosedMsMax: number;
  readonly renewPassesMax: number;
  /** What is sealed is read from end to end, to see that it is whole: first so long after a start, … */
  readonly scrubFirstMs: number;
  /** … then so long after each time … */
  readonly scrubEveryMs: number;
  /** … and no faster than this. */
  readonly scrubBytesPerSecond: number;
  /** Where somebody waits for it, this. */
  readonly verifyBytesPerSecond: number;
  /** The state's digest is noted after every so many entries: the same on all nodes of a log, lest they never meet. */
  readonly digestEveryEntries: number;
  /** The newest of them, for others to ask for. */
  readonly digestsKept: number;
  /** How often the newest one is compared. */
  readonly digestCompareMs: number;
  /** While the end of the log is in doubt, the others are asked about it so often. */
  readonly tailSettleEveryMs: number;
  /** Entries given at a time to a node that lost them; one at least. */
  readonly repairBytesMax: number;
  /** Stretches of streams asked for in one call; and what others give of them, in memory until a rewrite has taken it. */
  readonly rangesPerCall: number;
  readonly rangesBytesMax: number;
  /** Another node answers such a question within this. */
  readonly repairTimeoutMs: number;
  /** A command at a node that does not lead waits so long for a leader. */
  readonly leaderWaitMsMax: number;
  /** Messages of commands under way to the leader, and what their commands take; the rest waits. */
  readonly forwardsMax: number;
  readonly forwardedBytesMax: number;
  /** The leader's answer is waited for so long: longer than `unsettledMsMax` behind the end of its office. */
  readonly forwardMsMax: number;
  /** A leader that could not be reached, or did not lead, is tried again after this. */
  readonly forwardRetryMs: number;
  /** When another leads, and the old leader has not answered for so long, what may be repeated is. */
  readonly forwardCutMs: number;
  /** Not after this, counted from when it came. */
  readonly repeatMsMax: number;
  /** What the leader has applied is waited for here so long. */
  readonly forwardApplyMsMax: number;
  /** Before a snapshot is shipped, what it stands on has to be sealed: so long that is waited for. */
  readonly sealWaitMsMax: number;
  /** A snapshot is on its way to a follower for no longer than this: meanwhile nothing is trimmed or rewritten … */
  readonly shipmentMsMax: number;
  /** … and, for the sake of the entries behind it, for so long after. */
  readonly shipmentKeptMs: number;
  /** One that came to nothing is tried again after this. */
  readonly shipmentRetryMs: number;
  /** A node that stops waits so long for what is under way, and for another to lead. */
  readonly stopWaitMsMax: number;
  /** How often retention is looked at, and free disk space. */
  readonly housekeepingEveryMs: number;
  /** With less free space than this, commands that need more are refused as `disk-full`. */
  readonly lowWaterBytes: number;
  /** An append for which the disk had no room is tried again after this. */
  readonly stalledRetryMs: number;
  /** What all maps of keys of one compaction pass take together; a longer section is compacted in parts. */
  readonly compactionMapBytesMax: number;
  /** Read at a time from a stream that is compacted. */
  readonly compactionReadBytes: number;
  /** A stream's frontier moves once so much of it is new … */
  readonly compactionDirtyBytesMin: number;
  /** … and this share of it, from 0 to 1 … */
  readonly compactionDirtyShareMin: number;
  /** … or that share, and for so long in log time that the bytes no longer count. */
  readonly compactionDelayMsMax: number;
  /** After a start a stream is read anew, to see what is left to do, if it is no larger than this. */
  readonly compactionRescanBytesMax: number;
  /** Of the data in the segments that compaction rewrites, the share that goes: for less it is not done. */
  readonly compactionGainShareMin: number;
  /** The segment being written is closed early, so that it can be compacted, at most so often. */
  readonly rollEveryMs: number;
  /** Segments looked into in one pass for what is live. */
  readonly reclaimSegmentsPerPass: number;
  /** A segment is rewritten for what was trimmed, expired and deleted where that is this share of its file. */
  readonly rewriteGainShareMin: number;
  /** And not for less than this: what a file takes beside its data comes back with no rewrite. */
  readonly rewriteGainBytesMin: number;
  /** Neighbours rewritten to one: what stays of them, and how many. */
  readonly rewriteRunBytesMax: number;
  readonly rewriteRunSegmentsMax: number;
  /** So many small neighbours are merged though nothing in them is to go. */
  readonly mergeSegmentsMin: number;
};

export const NODE_LIMITS: NodeLimits = {
  proposalsMax: 16_384,
  proposalBytesMax: 64 * 1024 * 1024,
  batchBytesMax: 16 * 1024 * 1024,
  entryBytesMax: 1024 * 1024,
  entryCommandsMax: 4_096,
  groupBytesMax: 16 * 1024 * 1024,
  replayBytesMax: 4 * 1024 * 1024,
  waitersMax: 100_000,
  groupWaitersMax: 100_000,
  deadLettersPerStream: 16,
  deadLettersTogether: 16,
  deadLetterRetryMs: 5_000,
  lagTimesMax: 16_384,
  lagLookUpsMax: 256,
  followedStreamsMax: 262_144,
  mergeAheadBytesMax: 8 * 1024 * 1024,
  mergesAheadBytesMax: 256 * 1024 * 1024,
  mergeReadBytesMax: 512 * 1024,
  mergeReadsMax: 4,
  barriersMax: 100_000,
  barrierMsMax: 10_000,
  imageEveryBytes: 32 * 1024 * 1024,
  imageEveryRows: 32_768,
  imageEveryMs: 10_000,
  unsavedRowsMax: 200_000,
  snapshotEveryBytes: 256 * 1024 * 1024,
  touchDelayMs: 100,
  touchesMax: 10_000,
  // A collection of garbage, or a disk that hesitates, stops a process for some 100 ms now and then: that must not cost
  // an election. Ten to twenty heartbeats may get lost before one begins.
  tickMs: 50,
  electionTicks: 20,
  heartbeatTicks: 2,
  announceMs: 2,
  unsettledMsMax: 10_000,
  dueElsewhereMsMax: 1_000,
  foundingCallMs: 2_000,
  foundingRetryMs: 250,
  clusterChangeMsMax: 10_000,
  factsEveryMs: 2_000,
  factsAnswerMsMax: 2_000,
  clockAnswerMsMax: 500,
  clockKeptMs: 6_500,
  // What keeps clocks by NTP is within a few milliseconds; leases and expiry are counted in seconds.
  clockOffMsMax: 1_000,
  callsMax: 1_024,
  callsBytesMax: 64 * 1024 * 1024,
  callsHandledMax: 4_096,
  callsHandledBytesMax: 128 * 1024 * 1024,
  callLivesKept: 256,
  callIdsKept: 16_384,
  repairEveryMs: 1_000,
  repairRetryMs: 15_000,
  rebuildEveryMs: 1_000,
  rebuildAfterMs: 5 * 60_000,
  renewAfterMs: 5 * 60_000,
  renewAskEveryMs: 5 * 60_000,
  renewPauseMs: 60 * 60_000,
  renewPauseMsMax: 24 * 60 * 60_000,
  renewStallMs: 60_000,
  renewCloseMs: 5_000,
  renewClosedMsMax: 30_000,
  renewPassesMax: 16,
  scrubFirstMs: 10 * 60_000,
  scrubEveryMs: 6 * 60 * 60_000,
  scrubBytesPerSecond: 8 * 1024 * 1024,
  verifyBytesPerSecond: 256 * 1024 * 1024,
  digestEveryEntries: 1_024,
  digestsKept: 64,
  digestCompareMs: 5_000,
  tailSettleEveryMs: 500,
  repairBytesMax: 1024 * 1024,
  rangesPerCall: 256,
  // All that a segment held, and more: of a segment that is lost as a whole nothing less is of use.
  rangesBytesMax: 128 * 1024 * 1024,
  repairTimeoutMs: 5_000,
  leaderWaitMsMax: 5_000,
  forwardsMax: 64,
  forwardedBytesMax: 32 * 1024 * 1024,
  forwardMsMax: 15_000,
  forwardRetryMs: 50,
  forwardCutMs: 1_000,
  repeatMsMax: 30_000,
  forwardApplyMsMax: 5_000,
  sealWaitMsMax: 10_000,
  shipmentMsMax: 4 * 60 * 60 * 1_000,
  shipmentKeptMs: 30_000,
  shipmentRetryMs: 1_000,
  stopWaitMsMax: 5_000,
  housekeepingEveryMs: 5_000,
  lowWaterBytes: 256 * 1024 * 1024,
  stalledRetryMs: 500,
  compactionMapBytesMax: 64 * 1024 * 1024,
  compactionReadBytes: 1024 * 1024,
  compactionDirtyBytesMin: 16 * 1024 * 1024,
  compactionDirtyShareMin: 0.5,
  compactionDelayMsMax: 24 * 60 * 60 * 1_000,
  compactionRescanBytesMax: 256 * 1024 * 1024,
  compactionGainShareMin: 0.3,
  rollEveryMs: 60_000,
  reclaimSegmentsPerPass: 4,
  rewriteGainShareMin: 0.5,
  rewriteGainBytesMin: 256 * 1024,
  rewriteRunBytesMax: 64 * 1024 * 1024,
  rewriteRunSegmentsMax: 16,
  mergeSegmentsMin: 4,
};

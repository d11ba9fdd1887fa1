/**
 * Every bound of the state machine (I15). They decide what is accepted and what is refused, so they are part of the
 * machine's meaning (I10): constants of a version of the format, the same on every node, never configuration.
 */

export type StreamsLimits = {
  /** All streams, soft-deleted ones too. */
  readonly streamsMax: number;
  readonly contentTypeBytesMax: number;
  /** Of a `Stream-Seq`. */
  readonly streamSequenceBytesMax: number;
  /** Sources above a fork. */
  readonly forkDepthMax: number;

  readonly producersMax: number;
  readonly producersPerStreamMax: number;
  readonly producerIdBytesMax: number;
  /** Newest sequences of a producer whose answers are kept; also how many may be in flight (I8). */
  readonly producerAnswersMax: number;
  /** A producer that appended nothing for this long, in log time, is forgotten; its next sequence is then a gap (P37). */
  readonly producerIdleMs: number;

  readonly cursorsMax: number;
  readonly cursorNameBytesMax: number;
  readonly cursorBytesMax: number;

  readonly transactionConditionsMax: number;
  readonly transactionOperationsMax: number;
  readonly touchStreamsMax: number;

  readonly subscriptionsMax: number;
  readonly subscriptionIdBytesMax: number;
  /** Explicit streams of one subscription. */
  readonly explicitStreamsMax: number;
  readonly linksPerSubscriptionMax: number;
  readonly linksMax: number;
  readonly patternBytesMax: number;
  readonly patternSegmentsMax: number;
  readonly webhookUrlBytesMax: number;
  readonly descriptionBytesMax: number;
  readonly workerBytesMax: number;
  readonly wakeIdBytesMax: number;
  readonly acksMax: number;
  readonly leaseMsMin: number;
  readonly leaseMsMax: number;

  readonly groupsMax: number;
  readonly groupIdBytesMax: number;
  /** Streams that a group names. */
  readonly groupStreamsMax: number;
  readonly linksPerGroupMax: number;
  /** Links of all groups to streams. */
  readonly groupLinksMax: number;
  readonly membersPerGroupMax: number;
  /** Members of all groups. */
  readonly groupMembersMax: number;
  readonly memberNameBytesMax: number;
  readonly groupLeaseMsMin: number;
  readonly groupLeaseMsMax: number;
  readonly groupAttemptsMax: number;
  readonly groupDelayMsMax: number;
  /** Why a record was refused. */
  readonly groupReasonBytesMax: number;
  /** Records that one take may ask for, and that one item of a settle may name. */
  readonly groupTakeMax: number;
  /** Records that all items of one settle name together. */
  readonly groupSettleMax: number;
  /** Acknowledgements, or positions, in one command. */
  readonly groupItemsMax: number;
  /** Records of one stream that a queue has given out or given up and that are not done: with more, takes get no new ones. */
  readonly groupOutstandingPerStreamMax: number;
  /** The same over all queues and streams. */
  readonly groupOutstandingMax: number;
  /** So many a group may have out whatever the others have: one that is huge keeps nobody from working. */
  readonly groupOutstandingAssured: number;

  readonly appsMax: number;
  readonly tasksPerAppMax: number;
  /** Tasks of all apps. */
  readonly tasksMax: number;
  readonly taskInputsMax: number;
  /** Of an app's description, and of its options. */
  readonly appTextBytesMax: number;
  /** Of all texts of its shape. */
  readonly appShapeBytesMax: number;
  readonly replicaBytesMax: number;
  readonly digestsPerCommitMax: number;
  /** The newest that are kept. */
  readonly digestsPerTaskMax: number;

  /** Nodes whose disk and address are kept; those of a configuration, and some that are to come or have gone. */
  readonly membersMax: number;
  readonly memberTextBytesMax: number;
  /** Disks of former members that are remembered. */
  readonly formerDisksMax: number;

  /** Expiries and removals that are due and done by one entry; the rest is done by those that follow. */
  readonly duePerEntryMax: number;
};

const DAY_MS = 24 * 60 * 60 * 1_000;

export const STREAMS_LIMITS: StreamsLimits = {
  streamsMax: 1_000_000,
  contentTypeBytesMax: 256,
  streamSequenceBytesMax: 1_024,
  forkDepthMax: 16,

  producersMax: 1_000_000,
  producersPerStreamMax: 65_536,
  producerIdBytesMax: 256,
  producerAnswersMax: 1_024,
  producerIdleMs: 7 * DAY_MS,

  cursorsMax: 1_000_000,
  cursorNameBytesMax: 512,
  cursorBytesMax: 64 * 1_024,

  transactionConditionsMax: 1_024,
  transactionOperationsMax: 1_024,
  touchStreamsMax: 65_536,

  subscriptionsMax: 10_000,
  subscriptionIdBytesMax: 256,
  explicitStreamsMax: 10_000,
  linksPerSubscriptionMax: 100_000,
  linksMax: 1_000_000,
  patternBytesMax: 1_024,
  patternSegmentsMax: 64,
  webhookUrlBytesMax: 2_048,
  descriptionBytesMax: 4_096,
  workerBytesMax: 256,
  wakeIdBytesMax: 128,
  acksMax: 65_536,
  leaseMsMin: 1_000,
  leaseMsMax: 600_000,

  groupsMax: 10_000,
  groupIdBytesMax: 256,
  groupStreamsMax: 1_000,
  linksPerGroupMax: 10_000,
  groupLinksMax: 1_000_000,
  membersPerGroupMax: 1_000,
  groupMembersMax: 100_000,
  memberNameBytesMax: 256,
  groupLeaseMsMin: 1_000,
  groupLeaseMsMax: DAY_MS,
  groupAttemptsMax: 1_000,
  groupDelayMsMax: 30 * DAY_MS,
  groupReasonBytesMax: 256,
  groupTakeMax: 1_024,
  groupSettleMax: 4_096,
  groupItemsMax: 10_000,
  groupOutstandingPerStreamMax: 8_192,
  groupOutstandingMax: 262_144,
  groupOutstandingAssured: 16,

  appsMax: 1_000,
  tasksPerAppMax: 4_096,
  tasksMax: 65_536,
  taskInputsMax: 256,
  appTextBytesMax: 16 * 1_024,
  appShapeBytesMax: 1_024 * 1_024,
  replicaBytesMax: 64,
  digestsPerCommitMax: 16,
  digestsPerTaskMax: 32,

  membersMax: 128,
  memberTextBytesMax: 255,
  formerDisksMax: 256,

  duePerEntryMax: 1_024,
};

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

  duePerEntryMax: 1_024,
};

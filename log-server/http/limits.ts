/** Every bound of the HTTP faces (I15). Sizes in bytes, times in milliseconds. */

import { BATCH_RECORDS_MAX } from "../../src/record/batch.ts";
import { RECORD_LIMITS } from "../../src/record/limits.ts";

export type HttpLimits = {
  /** Open connections; the kernel refuses more. */
  readonly connectionsMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  readonly urlBytesMax: number;
  /** One request's body. */
  readonly bodyBytesMax: number;
  /** Bodies that are being received, over all connections. */
  readonly bodiesBytesMax: number;
  /** A refused body is read to its end, so that its sender sees the answer, unless it claims more than this. */
  readonly discardedBodyBytesMax: number;
  /** A record: key, headers and value. */
  readonly recordBytesMax: number;
  readonly recordsPerBatchMax: number;
  /** A batch's body, decompressed. */
  readonly rawBatchBytesMax: number;

  /** The time from a request's first byte to the end of its headers, and to the end of its body. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How long a connection stays open between two requests. */
  readonly keepAliveMs: number;
  /** How often the two above are looked at. */
  readonly timeoutCheckEveryMs: number;

  /** One catch-up or long-poll answer stops after the batch that reaches this. */
  readonly readBytesMax: number;
  /** Memory of this size is kept for the bodies of such answers, for so many of them. */
  readonly pooledBodyBytes: number;
  readonly pooledBodiesMax: number;
  /** Readers that are expected to come back, each with a piece that was read for it or not. */
  readonly readsAheadMax: number;
  /** One SSE data event, likewise. */
  readonly eventBytesMax: number;
  readonly longPollMs: number;
  readonly sseMs: number;
  /** To a reader of server-sent events for whom there is nothing, a sign of life this often. */
  readonly heartbeatMs: number;
  /** An SSE reader that takes nothing for this long is dropped. */
  readonly stalledReaderMs: number;
  /** Long-polls and SSE answers under way. */
  readonly liveResponsesMax: number;
  /** On shutdown, answers still being sent after this are cut off. */
  readonly closeGraceMs: number;
  /** A read that shows a session token waits this long for its position. */
  readonly sessionWaitMs: number;

  readonly producerIdBytesMax: number;
  readonly streamSequenceBytesMax: number;
  readonly contentTypeBytesMax: number;
  /** Longer times to live are refused: they are mistakes, and overflow dates. */
  readonly ttlSecondsMax: number;

  /** One POST of frames. */
  readonly framesMax: number;
  /** What the reads of one POST may return together, and each of them. */
  readonly framesResponseBytesMax: number;
  readonly frameReadBytesMax: number;
  readonly frameWaitMsMax: number;

  /** Of one page of a listing: streams, groups, apps. */
  readonly listedStreamsMax: number;
  readonly listedGroupsMax: number;
  readonly listedAppsMax: number;
  /** Bytes of records that one take over HTTP shows; those it has no room for are leased all the same. */
  readonly takenBytesMax: number;
  /** Takes that are made for one request which others are faster than. */
  readonly takeTriesMax: number;

  readonly subscriptionIdBytesMax: number;
  readonly subscriptionBodyBytesMax: number;
  readonly subscriptionStreamsMax: number;
  /** Streams that one wake shows to its worker. */
  readonly wakeStreamsMax: number;
  readonly patternBytesMax: number;
  readonly descriptionBytesMax: number;
  readonly webhookUrlBytesMax: number;
  readonly workerNameBytesMax: number;
  /** Webhook requests under way. */
  readonly webhooksInFlightMax: number;
  readonly webhookTimeoutMs: number;
  readonly webhookResponseBytesMax: number;
  /** Before the first retry of a webhook; doubled for each further, up to the maximum. */
  readonly webhookRetryFirstMs: number;
  readonly webhookRetryMaxMs: number;
};

export const HTTP_LIMITS: HttpLimits = {
  connectionsMax: 16_384,
  headerBytesMax: 16 * 1024,
  urlBytesMax: 8 * 1024,
  bodyBytesMax: 17 * 1024 * 1024,
  bodiesBytesMax: 256 * 1024 * 1024,
  discardedBodyBytesMax: 64 * 1024 * 1024,
  recordBytesMax: RECORD_LIMITS.recordBytesMax,
  recordsPerBatchMax: BATCH_RECORDS_MAX,
  rawBatchBytesMax: 64 * 1024 * 1024,

  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveMs: 72_000,
  timeoutCheckEveryMs: 1_000,

  readBytesMax: 1024 * 1024,
  pooledBodyBytes: 1280 * 1024,
  pooledBodiesMax: 8,
  readsAheadMax: 8,
  eventBytesMax: 256 * 1024,
  longPollMs: 20_000,
  sseMs: 60_000,
  heartbeatMs: 15_000,
  stalledReaderMs: 20_000,
  liveResponsesMax: 100_000,
  closeGraceMs: 1_000,
  sessionWaitMs: 5_000,

  producerIdBytesMax: 256,
  streamSequenceBytesMax: 256,
  contentTypeBytesMax: 256,
  ttlSecondsMax: 100 * 365 * 24 * 60 * 60,

  framesMax: 4_096,
  framesResponseBytesMax: 64 * 1024 * 1024,
  frameReadBytesMax: 4 * 1024 * 1024,
  frameWaitMsMax: 30_000,

  listedStreamsMax: 1_000,
  listedGroupsMax: 1_000,
  listedAppsMax: 1_000,
  takenBytesMax: 4 * 1024 * 1024,
  takeTriesMax: 64,

  subscriptionIdBytesMax: 256,
  subscriptionBodyBytesMax: 2 * 1024 * 1024,
  subscriptionStreamsMax: 8_192,
  wakeStreamsMax: 8_192,
  patternBytesMax: 1_024,
  descriptionBytesMax: 1_024,
  webhookUrlBytesMax: 2_048,
  workerNameBytesMax: 256,
  webhooksInFlightMax: 256,
  webhookTimeoutMs: 30_000,
  webhookResponseBytesMax: 64 * 1024,
  webhookRetryFirstMs: 1_000,
  webhookRetryMaxMs: 60_000,
};

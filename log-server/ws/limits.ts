/** Every bound of the WebSocket face (I15). Sizes in bytes, times in milliseconds. */

export type WsLimits = {
  /** Open connections; further ones are told to try again later. */
  readonly connectionsMax: number;
  /** One message, binary or text; more closes the connection with 1009. */
  readonly messageBytesMax: number;
  readonly textBytesMax: number;
  readonly framesPerMessageMax: number;

  /** Commands of one connection that are not answered; with more, nothing further is read from it until some are. */
  readonly commandsUnderWayMax: number;
  readonly commandBytesUnderWayMax: number;
  /** Reads and descriptions of one connection under way, long-polls among them; more are refused as `overloaded`. */
  readonly queriesUnderWayMax: number;
  /** The answer to one read stops after the batch that reaches this. */
  readonly readBytesMax: number;
  readonly readWaitMsMax: number;

  /** Subscriptions of one connection; more are refused as `overloaded`. */
  readonly subscriptionsMax: number;
  /** Of these, follows of many streams: each reads ahead. */
  readonly followsMax: number;
  readonly followStreamsMax: number;
  /** The shortest time between two marks of a follow whose streams are silent. */
  readonly markEveryMsMin: number;
  /** A follow that could not send for this long forgets what it read ahead. */
  readonly releaseAfterMs: number;
  /** Streams that expire unless they are used are kept alive this often at least. Timers do not hold much more. */
  readonly keepAliveMsMax: number;
  /** Credit of one subscription; what is granted beyond it is not counted. */
  readonly creditBytesMax: number;
  /** What a subscription of the text mode may send before it needs credit, unless it says so itself. */
  readonly textCreditBytes: number;
  /** One message of records stops after the batch that reaches this. */
  readonly chunkBytesMax: number;
  /** A batch's body, decompressed, for the text mode. */
  readonly rawBatchBytesMax: number;

  /** Unsent bytes of one connection beyond which nothing more is read for it: neither its requests nor its records. */
  readonly sendBufferBytes: number;
  /** Frames are gathered into messages of about this size. */
  readonly gatherBytesMax: number;
  /** A peer that takes nothing for this long, with something unsent, is dropped. */
  readonly stalledPeerMs: number;
  /** A peer that says nothing for this long is pinged, and dropped if it then says nothing for as long again. */
  readonly silenceMs: number;
  /** How often the two above are looked at. */
  readonly checkEveryMs: number;
  /** From asking a peer to close to cutting it off. */
  readonly closeGraceMs: number;
};

export const WS_LIMITS: WsLimits = {
  connectionsMax: 16_384,
  messageBytesMax: 17 * 1024 * 1024,
  textBytesMax: 4 * 1024 * 1024,
  framesPerMessageMax: 4_096,

  commandsUnderWayMax: 4_096,
  commandBytesUnderWayMax: 32 * 1024 * 1024,
  queriesUnderWayMax: 256,
  readBytesMax: 1024 * 1024,
  readWaitMsMax: 30_000,

  subscriptionsMax: 1_024,
  followsMax: 64,
  followStreamsMax: 16_384,
  markEveryMsMin: 5,
  releaseAfterMs: 1_000,
  keepAliveMsMax: 3_600_000,
  creditBytesMax: 1024 * 1024 * 1024,
  textCreditBytes: 1024 * 1024 * 1024,
  chunkBytesMax: 512 * 1024,
  rawBatchBytesMax: 64 * 1024 * 1024,

  sendBufferBytes: 4 * 1024 * 1024,
  gatherBytesMax: 256 * 1024,
  stalledPeerMs: 20_000,
  silenceMs: 20_000,
  checkEveryMs: 1_000,
  closeGraceMs: 2_000,
};

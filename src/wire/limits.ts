/** Bounds of the protocol itself (I15). What a server or client takes beyond these is its own limit, and passed in. */

export const WIRE_LIMITS = {
  /** Of a stream's name, decoded. */
  nameBytesMax: 1_024,
  nameSegmentsMax: 64,
  /** Of an app's name, so that the names of its streams are not too long. */
  appNameBytesMax: 256,
  /** Batches of one command; only transactions and runs have more than one. */
  commandBatchesMax: 65_536,
  /** Batches of one run: as many sequences as a producer's answers are kept for (I8). */
  runBatchesMax: 1_024,
  /** Batches of one answer to a read. */
  responseBatchesMax: 1_048_576,
  /** Streams of one page of a listing. */
  listedStreamsMax: 65_536,
  /** Streams of one follow. */
  followStreamsMax: 65_536,
  /** Messages, content types and the like, in answers. */
  textBytesMax: 64 * 1024,
  /** What a frame splitter reserves first; it doubles up to the frame it waits for. */
  frameBufferBytes: 1_024,
} as const;

/** Bounds of operators, their state and their encodings (I15). */

export const OPERATOR_LIMITS = {
  /** Of a topology. */
  versionMax: 1_000_000_000,
  /** Of one key, encoded. */
  keyBytesMax: 640,
  /** Of a row's key, all of it: a state's key and a field of a map in it together, say. No store takes longer ones. */
  rowKeyBytesMax: 1_000,
  /** Of one row's value, encoded. */
  valueBytesMax: 8 * 1024 * 1024,
  /** Arrays, objects, maps and sets inside each other, in keys and in values. */
  depthMax: 64,

  /** State is cut into so many parts by the hash of its key: what a snapshot writes anew is the parts that changed. */
  stateBuckets: 4_096,
  /** Of the nodes' ids, which are in every row's key. */
  idLengthMax: 64,
  nodesMax: 1_000,
  partitionsMax: 1_000,

  /** What one record, or one timer, may send, for it goes out in one transaction; beyond it is poison. */
  outputsPerCallMax: 10_000,
  outputBytesPerCallMax: 12 * 1024 * 1024,
  outputStreamsPerCallMax: 1_000,
  /** Timers that timers set, in one instant, for times that have come: there is no end to it otherwise. */
  timersSetDueMax: 1_000_000,
  /** Inputs and outputs between two takes. */
  inputsPerBatchMax: 65_536,
  outputsPerBatchMax: 1_000_000,

  /** Of aggregates that every record reads and writes as a whole. */
  topMax: 1_000,
  distinctMax: 10_000,
  /** Hopping windows that each record is in: it reads and writes what each has so far. */
  windowsPerRecordMax: 2_000,

  /** A digest point after every so many records, and at every such boundary of log time that something happened before. */
  digestEveryRecords: 1_024,
  digestEveryMs: 10_000,

  /** Of rows that are replaced while a capture of them is being read. */
  captureReplacedBytesMax: 128 * 1024 * 1024,
  /** Rows that changed since a snapshot; of more, none is known. */
  changedKeysMax: 1_000_000,

  /** Event time after which a task tells those that it repartitions for how far it has come. */
  markEveryMs: 1_000,
  /** Log time after which it tells them again, as long as there is somebody who waits for several: a part of `idleMs`, from and to. */
  laneMarkEveryMsMin: 1_000,
  laneMarkEveryMsMax: 5_000,
  laneMarksPerIdle: 4,
  /** Of one source, what it told of event time that others have not come to yet. */
  toldWaitingMax: 16,

  /** Log time without a record after which a source holds the watermark back no longer, unless it is set up otherwise. */
  idleMsDefault: 60_000,
} as const;

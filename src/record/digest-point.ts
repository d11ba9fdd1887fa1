/** A place fixed by a task's input alone, and what each of its replicas must have there. */
export type DigestPoint = {
  /** Records taken in until there. */
  readonly records: number;
  /** Milliseconds since the Unix epoch. */
  readonly logTime: number;
  /** Of all rows, those of progress (cursor, watermark) included. */
  readonly state: bigint;
  /** Of all outputs until there, in their order. */
  readonly outputs: bigint;
};

/** Of one task's points, by where they are. Negative where `a` comes first. */
export function compareDigestPoints(a: DigestPoint, b: DigestPoint): number {
  return a.records - b.records || a.logTime - b.logTime;
}

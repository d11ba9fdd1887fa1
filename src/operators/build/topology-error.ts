/** A topology that cannot be run, found when it is built, or when it is tried. The message says what to do about it. */

export type TopologyErrorCode =
  | "bad-name"
  | "bad-setting"
  | "empty"
  | "endless"
  | "name-taken"
  | "no-merge"
  | "not-co-partitioned"
  | "other-topology"
  | "read-twice"
  | "too-large";

export class TopologyError extends Error {
  override readonly name = "TopologyError";
  readonly code: TopologyErrorCode;

  constructor(code: TopologyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

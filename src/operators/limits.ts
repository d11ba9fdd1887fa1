/** Bounds of operators, their state and their encodings (I15). */

export const OPERATOR_LIMITS = {
  /** Of one key, encoded. With what stands before it in a row's key it stays below what stores take (1,000 bytes). */
  keyBytesMax: 640,
  /** Of one row's value, encoded. */
  valueBytesMax: 8 * 1024 * 1024,
  /** Arrays, objects, maps and sets inside each other, in keys and in values. */
  depthMax: 64,
} as const;

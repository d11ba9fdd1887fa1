/**
 * What code asks the platform for: the bytes of all buffers that it makes by their length. Views and copies of its
 * input are not counted, for they cannot be larger than it.
 */
export function allocatedBytes(run: () => void): number {
  let bytes = 0;
  const counting = <T extends Function & { BYTES_PER_ELEMENT?: number }>(type: T): T =>
    new Proxy(type, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === "number") bytes += args[0] * (target.BYTES_PER_ELEMENT ?? 1);
        return Reflect.construct(target, args, newTarget === undefined ? target : target) as object;
      },
    });
  const { Uint8Array: uint8Array, ArrayBuffer: arrayBuffer } = globalThis;
  globalThis.Uint8Array = counting(uint8Array);
  globalThis.ArrayBuffer = counting(arrayBuffer);
  try {
    run();
  } finally {
    globalThis.Uint8Array = uint8Array;
    globalThis.ArrayBuffer = arrayBuffer;
  }
  return bytes;
}

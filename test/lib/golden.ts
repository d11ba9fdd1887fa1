/** Golden bytes as tests write them: hexadecimal, cut into fields by blanks and arguments. */

export function goldenHex(...fields: readonly string[]): string {
  return fields.join("").replaceAll(" ", "");
}

export function goldenBytes(...fields: readonly string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(goldenHex(...fields), "hex"));
}

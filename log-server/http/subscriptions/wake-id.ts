/** Names one wake, so that no request for it can be taken for another's (section 7.3). Drawn before it is proposed (I10). */
import type { Entropy } from "../../../src/ports/entropy.ts";

const WAKE_ID_BYTES = 16;

export function newWakeId(entropy: Entropy): string {
  return `w_${Buffer.from(entropy.bytes(WAKE_ID_BYTES)).toString("base64url")}`;
}

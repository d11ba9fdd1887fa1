/** What the desk can do with anything that goes on sending until it is ended: a subscription, or a follow of many streams. */
import type { EndReason } from "../../src/wire/end-reason.ts";

export interface Running {
  grant(bytes: number): void;
  /** Ends it with a last word that tells where to go on. */
  end(reason: EndReason): void;
  /** Ends it without a word: nobody is there to hear it. */
  cancel(): void;
  /** Resolves when it is over; never rejects. */
  run(): Promise<void>;
}

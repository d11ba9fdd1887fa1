/** What the routes share. */
import type { Zstd } from "../../src/ports/zstd.ts";
import type { LogNode } from "../node/log-node.ts";
import type { Answers } from "./answers.ts";
import type { BodyPool } from "./body-pool.ts";
import type { HttpLimits } from "./limits.ts";
import type { LiveResponses } from "./live-responses.ts";
import type { HttpObserver } from "./observer.ts";
import type { ReadAhead } from "./stream-routes/read-ahead.ts";

export type HttpContext = {
  readonly node: LogNode;
  readonly limits: HttpLimits;
  readonly zstd: Zstd | undefined;
  readonly observer: HttpObserver;
  readonly answers: Answers;
  readonly bodies: BodyPool;
  readonly ahead: ReadAhead;
  readonly live: LiveResponses;
  /**
   * Where clients reach this server, without a trailing slash: as configured; else by the name that the one who asks
   * has used; else where it listens.
   */
  readonly publicUrl: (host?: string) => string;
};

/** The public Durable Streams suite, whole. `run.ts` says where the server is. */
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

const baseUrl = process.env["TIDEMARK_URL"];
if (baseUrl === undefined) throw new Error("TIDEMARK_URL is not set; run `npm run conformance`");

runConformanceTests({ baseUrl, subscriptions: true });

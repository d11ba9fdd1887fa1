/**
 * Word count: how often each word has come so far, in lines of text.
 *
 * A flow of records becomes a table, the newest count of each word; its changes are the output, with the word as their key.
 * In an app of yours the import is `from "tidemark/operators"`.
 */
import { topology, type Topology } from "../../src/operators/index.ts";

const app: Topology = topology("word-count");

app
  .stream("lines", { format: "text" })
  .flatMap((line) => line.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
  .groupBy((word) => word)
  .count()
  .to("word-counts");

export default app;

#!/usr/bin/env node
/** The executable. Nothing that an old Node could stumble over is loaded before its version was looked at. */
import { nodeObjection } from "./node-version.ts";
import { setServerHeap } from "./server-heap.ts";

const objection = nodeObjection(process.versions.node);
if (objection !== undefined) {
  process.stderr.write(`${objection}\n`);
  process.exitCode = 1;
} else {
  setServerHeap(process);
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
}

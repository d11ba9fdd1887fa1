#!/usr/bin/env node
/** The executable. Nothing that an old Node could stumble over is loaded before its version was looked at. */
import { nodeObjection } from "./node-version.ts";
import { setServerHeap } from "./server-heap.ts";

/** Resolves when all that was written is out, or nobody reads it any more. */
function written(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

const objection = nodeObjection(process.versions.node);
if (objection !== undefined) {
  process.stderr.write(`${objection}\n`);
  process.exitCode = 1;
} else {
  setServerHeap(process);
  const { main } = await import("./main.ts");
  const args = process.argv.slice(2);
  process.exitCode = await main(args);
  // A server has only begun. Any other verb is done, whatever the module of an app still holds open.
  if (args[0] !== "serve") {
    await Promise.all([written(process.stdout), written(process.stderr)]);
    process.exit();
  }
}

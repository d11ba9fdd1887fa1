#!/usr/bin/env node
/**
 * The executable. Nothing that an old Node could stumble over is loaded before its version was looked at; `serve` is
 * the server's, everything else the command line's.
 */
import { nodeObjection } from "./node-version.ts";

const [verb, ...rest] = process.argv.slice(2);
const objection = nodeObjection(process.versions.node);
if (objection !== undefined) {
  process.stderr.write(`${objection}\n`);
  process.exitCode = 1;
} else if (verb === "serve") {
  const { serve } = await import("../../log-server/main.ts");
  await serve(rest);
} else if (verb === "config" && rest[0] === "print") {
  const { printConfig } = await import("../../log-server/main.ts");
  printConfig(rest.slice(1));
} else {
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
}

/**
 * `npm run bench`: measures and prints, without targets.
 *
 *     npm run bench [-- --json] [--rounds N] [--seconds N] [--connections N] [--bytes N]
 */
import { parseArgs } from "node:util";
import { APPEND_HTTP_DEFAULTS, appendHttp } from "./append-http.ts";
import { formatTable } from "./summary.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    connections: { type: "string" },
    bytes: { type: "string" },
  },
});

function number(text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0)) throw new Error(`${text} is not a positive number`);
  return value;
}

const options = {
  ...APPEND_HTTP_DEFAULTS,
  rounds: number(values.rounds, APPEND_HTTP_DEFAULTS.rounds),
  measureMs: number(values.seconds, APPEND_HTTP_DEFAULTS.measureMs / 1_000) * 1_000,
  connections: number(values.connections, APPEND_HTTP_DEFAULTS.connections),
  bodyBytes: number(values.bytes, APPEND_HTTP_DEFAULTS.bodyBytes),
};
const measured = await appendHttp(options);
if (values.json) console.log(JSON.stringify({ bench: "append-http", options, measured }));
else
  process.stdout.write(
    formatTable(`append over HTTP, ${options.bodyBytes} bytes, ${options.connections} connections`, measured),
  );

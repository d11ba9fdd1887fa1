/**
 * The log for people and machines: one JSON object per line on standard error, each with an `event` code that stays
 * the same and details that may grow. Never payloads, never secrets. Standard output is not ours: its first line is
 * `ready http://…`.
 */
import { type DestinationStream, destination, type Logger, pino } from "pino";

type Level = "debug" | "info" | "warn" | "error" | "fatal";

export type Detail = Readonly<Record<string, unknown>>;

export interface EventLog {
  event(code: string, detail?: Detail): void;
}

/** Everything else is "info", or "error" if its code ends in `-failed`. */
const LEVELS: Readonly<Record<string, Level>> = {
  "apply-blocked": "error",
  "background-rejected": "debug",
  "clock-off": "warn",
  "damage": "error",
  "disk-full": "warn",
  "founding-waits": "warn",
  "image-discarded": "warn",
  "insecure": "warn",
  "leader-lost": "warn",
  "log-cut": "warn",
  "log-end-ambiguous": "warn",
  "log-end-lost": "error",
  "node-failed": "fatal",
  "node-starts-anew": "warn",
  "peer-message-refused": "warn",
  "peer-refused": "warn",
  "peer-tls-unusable": "warn",
  "rebuilding": "warn",
  "renewing": "warn",
  "renewal-ended": "warn",
  "recovery-progress": "debug",
  "removed": "warn",
  "snapshot-damaged": "warn",
  "snapshot-gap": "error",
  "state-differs": "error",
  "state-lost": "error",
  "snapshot-not-sent": "warn",
};

const TEXT_MAX = 500;
const DEPTH_MAX = 3;
const ITEMS_MAX = 20;
const SECRET = /token|authorization|secret|password|private.?key|cookie/i;

/** `to` is standard error unless a test looks; written synchronously, so that the last line before an exit is there. */
export function openLog(
  level: Level | "trace" | "silent",
  to: DestinationStream = destination({ dest: 2, sync: true }),
): EventLog {
  const logger: Logger = pino(
    {
      level,
      base: { pid: process.pid },
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
  return {
    event(code, detail = {}) {
      logger[levelOf(code)]({ event: code, ...(printable(detail, 0) as object) });
    },
  };
}

function levelOf(code: string): Level {
  return LEVELS[code] ?? (code.endsWith("-failed") ? "error" : "info");
}

/** Cuts what is long or deep, counts bytes instead of showing them, and masks what is named like a secret. */
function printable(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value;
    case "bigint":
      return value.toString();
    case "object":
      return value === null ? null : printableObject(value, depth);
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "function":
    case "symbol":
      return undefined;
  }
}

function printableObject(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (value instanceof Error) {
    const code = "code" in value ? value.code : undefined;
    return printable({ name: value.name, message: value.message, code }, depth);
  }
  if (depth >= DEPTH_MAX) return "(…)";
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => printable(item, depth + 1));
  const shown: [string, unknown][] = Object.entries(value).map(([name, inner]) => [
    name,
    SECRET.test(name) ? "(masked)" : printable(inner, depth + 1),
  ]);
  return Object.fromEntries(shown);
}

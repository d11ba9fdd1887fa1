/** The options of every verb that talks to a server, and the client they make. Flags win over the environment. */
import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { connect, type Client } from "../client.ts";
import { TidemarkError } from "../error.ts";
import { PLATFORM_ZSTD } from "../reading/platform-zstd.ts";
import type { Io } from "./io.ts";
import { noticeUnreachable } from "./unreachable-notice.ts";
import { type OutputFormat, withOutputOption } from "./verb.ts";

export const URL_DEFAULT = "http://127.0.0.1:4437";
const TIMEOUT_SECONDS_DEFAULT = 30;
const MS_PER_SECOND = 1_000;

export type ServerOptions = {
  readonly url?: string;
  readonly tokenFile?: string;
  /** Seconds. */
  readonly timeout: number;
};

export type ConnectionOptions = ServerOptions & { readonly output: OutputFormat };

export function withConnectionOptions(command: Command): Command {
  return withOutputOption(withServerOptions(command));
}

export function withServerOptions(command: Command): Command {
  return command
    .option(
      "--url <url>",
      `the server, or nodes of a cluster with commas between (default: TIDEMARK_URL, or ${URL_DEFAULT})`,
    )
    .option("--token-file <file>", "a file with the bearer token (default: TIDEMARK_TOKEN_FILE)")
    .option(
      "--timeout <seconds>",
      "how long to wait for a server that cannot be reached",
      parseSeconds,
      TIMEOUT_SECONDS_DEFAULT,
    );
}

/** Where the server is, and what opens it. Of several nodes, `url` is the first. */
type Server = { readonly url: string; readonly urls: readonly string[]; readonly token: string | undefined };

export function serverOf(io: Io, options: ServerOptions): Server {
  const tokenFile = options.tokenFile ?? io.env["TIDEMARK_TOKEN_FILE"];
  const urls = (options.url ?? io.env["TIDEMARK_URL"] ?? URL_DEFAULT).split(",").map((url) => url.trim());
  return { url: urls[0] ?? "", urls, token: tokenFile === undefined ? undefined : readToken(tokenFile) };
}

/** For verbs that wait for the server's answer, and say nothing meanwhile. */
export function openClient(io: Io, options: ConnectionOptions): Client {
  const client = openQuietClient(io, options);
  // Programs read what went wrong from standard error, and nothing else.
  if (options.output === "text") noticeUnreachable(io.stderr, serverOf(io, options).url, options.timeout);
  return client;
}

/** For verbs that tell by themselves how it goes. */
export function openQuietClient(io: Io, options: ServerOptions): Client {
  const { urls, token } = serverOf(io, options);
  const zstd = PLATFORM_ZSTD;
  return (io.connect ?? connect)(urls, {
    timeout: timeoutMs(options),
    ...(token !== undefined && { token }),
    ...(zstd !== undefined && { zstd }),
  });
}

export function timeoutMs(options: ServerOptions): number {
  return options.timeout * MS_PER_SECOND;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds > 0)) throw new InvalidArgumentError("It must be a number of seconds above 0.");
  return seconds;
}

function readToken(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new TidemarkError("invalid-argument", `the token file cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (token === "") throw new TidemarkError("invalid-argument", `the token file ${path} is empty`);
  return token;
}

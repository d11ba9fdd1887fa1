/** What the command line's exit status says, for scripts. `--help` prints this table. */
import { ERRORS } from "../../src/wire/errors.ts";
import { asErrorCode, type TidemarkError } from "../error.ts";

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unavailable: 5,
  unauthorized: 6,
  outcomeUnknown: 7,
  damaged: 8,
  interrupted: 130,
} as const;

export const EXIT_HELP = `
Exit status:
  0    done
  1    failure
  2    usage, or input that cannot be understood
  3    no such stream or group, or the records are gone
  4    conflict: a condition does not hold, the stream is closed or exists differently, a newer producer took over
  5    the server is unavailable or overloaded, or the time was up; nothing was done, so try again
  6    a valid token is needed
  7    it is not known whether it was done
  8    data is damaged
  130  interrupted`;

export function exitCodeOf(error: TidemarkError): number {
  if (error.code === "aborted") return EXIT.interrupted;
  // Before "try again": doing so might do it twice.
  if (error.outcome === "unknown" && error.code !== "protocol-error") return EXIT.outcomeUnknown;
  if (error.retryable) return EXIT.unavailable;
  if (error.code === "invalid-argument" || error.code === "not-text" || error.code === "unsupported") return EXIT.usage;
  if (error.code === "producer-conflict") return EXIT.conflict;
  if (error.code === "damaged") return EXIT.damaged;
  const code = asErrorCode(error.code);
  if (code === undefined) return EXIT.failure;
  switch (ERRORS[code].status) {
    case 401:
      return EXIT.unauthorized;
    case 404:
    case 410:
      return EXIT.notFound;
    case 403:
    case 409:
    case 412:
      return EXIT.conflict;
    case 500:
      return EXIT.failure;
    default:
      return EXIT.usage;
  }
}

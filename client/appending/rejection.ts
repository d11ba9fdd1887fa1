/** What a server refused, as the SDK's error. */
import type { Rejection } from "../../src/wire/command.ts";
import { TidemarkError } from "../error.ts";

export function rejectionError(rejection: Rejection): TidemarkError {
  return new TidemarkError(rejection.code, rejection.message, {
    ...(rejection.tail !== undefined && { tail: rejection.tail }),
    ...(rejection.epoch !== undefined && { epoch: rejection.epoch }),
    ...(rejection.place !== undefined && { place: rejection.place }),
  });
}

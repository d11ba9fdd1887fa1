/** A record as JSON answers have it: the schema of what `recordText` writes. */
import { Type } from "typebox";
import { Count } from "../schemas.ts";

const BytesOut = Type.Union([Type.String(), Type.Object({ base64: Type.String() })], {
  description: "a text, or bytes that are none",
});

export const RECORD_FIELDS = {
  offset: Count,
  value: Type.Optional(
    Type.Unknown({ description: "a text; in a stream of application/json any JSON; null: a tombstone" }),
  ),
  base64: Type.Optional(Type.String({ description: "the value, where it is no text" })),
  key: Type.Optional(BytesOut),
  headers: Type.Optional(Type.Array(Type.Tuple([Type.String(), BytesOut]))),
  timestamp: Type.Integer({
    description: "milliseconds since 1970, before that negative; the log time where the record had none",
  }),
};

export const RecordOut = Type.Object(RECORD_FIELDS);

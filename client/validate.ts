/** Asking a schema, any validator's that implements Standard Schema, whether a value is what it describes. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { TidemarkError, type SchemaIssue } from "./error.ts";

/** The value as the schema makes it. Throws `schema-mismatch`; `offset` is the record's, if it has one. */
export async function validate<Output>(
  schema: StandardSchemaV1<unknown, Output>,
  value: unknown,
  what: string,
  offset?: number,
): Promise<Output> {
  const checked = schema["~standard"].validate(value);
  const result = checked instanceof Promise ? await checked : checked;
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path = [] }): SchemaIssue => ({ message, path: path.map(keyOf) }));
  const [first] = issues;
  const place = first === undefined || first.path.length === 0 ? "" : ` (${first.path.map(String).join(".")})`;
  throw new TidemarkError("schema-mismatch", `${what}: ${first?.message ?? "not what the schema allows"}${place}`, {
    issues,
    ...(offset !== undefined && { offset }),
  });
}

function keyOf(segment: PropertyKey | StandardSchemaV1.PathSegment): PropertyKey {
  return typeof segment === "object" ? segment.key : segment;
}

/** A listing, page after page as the loop takes its items. One page is held at a time. */
import { utf8 } from "../src/lib/bytes.ts";
import { WIRE_LIMITS } from "../src/wire/limits.ts";
import type { CallOptions } from "./deadline.ts";
import { TidemarkError } from "./error.ts";

export type ListOptions = CallOptions & {
  /** Only those whose names begin with this. Default: all. */
  readonly prefix?: string;
  /** Only names behind this one, in the order of the listing: where an earlier one stopped. */
  readonly after?: string;
  /** At most so many. Default: all. */
  readonly limit?: number;
};

/** What a page is asked for. */
export type PageRequest = { readonly prefix: string; readonly after: string; readonly limit: number };

/** `next`: there are more, behind this one. */
export type Page<Item> = { readonly items: readonly Item[]; readonly next: string | undefined };

export async function* paged<Item>(
  { prefix = "", after: begin = "", limit = Number.POSITIVE_INFINITY }: ListOptions,
  perPage: number,
  ask: (request: PageRequest) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  if (!(limit >= 0 && (Number.isSafeInteger(limit) || limit === Number.POSITIVE_INFINITY)))
    throw new TidemarkError("invalid-argument", "`limit` is a whole number from 0");
  for (const part of [prefix, begin]) checkPart(part);
  let left = limit;
  let after: string | undefined = begin;
  while (after !== undefined && left > 0) {
    const { items, next }: Page<Item> = await ask({ prefix, after, limit: Math.min(left, perPage) });
    // Or a server that goes round in circles would be asked for ever.
    if (next !== undefined && next <= after) throw new TidemarkError("protocol-error", "a page of a listing goes back");
    for (const item of items) {
      if (left === 0) return;
      left -= 1;
      yield item;
    }
    after = next;
  }
}

/** Need not be a whole name (W120). */
function checkPart(text: string): void {
  if (!text.isWellFormed() || utf8(text).length > WIRE_LIMITS.nameBytesMax)
    throw new TidemarkError(
      "invalid-argument",
      `\`prefix\` and \`after\` are well-formed texts of at most ${WIRE_LIMITS.nameBytesMax} bytes`,
    );
}

/**
 * The incarnation of a stream where a request names the stream alone. Nothing depends on its being current: what a
 * member or a taker holds is told apart by its generation, which no other stream of that name has.
 */
import type { Incarnation } from "../../../src/record/offset.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { HttpContext } from "../context.ts";

/** As things are now; of a stream that is not there 0, which none has. */
export async function incarnationOf({ node }: HttpContext): Promise<(stream: StreamName) => Incarnation> {
  await node.barrier();
  return (stream) => node.machine.stream(stream)?.incarnation ?? 0;
}

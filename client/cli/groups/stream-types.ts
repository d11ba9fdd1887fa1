/** The content types of streams, looked up when the first record of one is printed: in JSON a value depends on it. */
import type { Client } from "../../client.ts";
import { asTidemarkError } from "../../error.ts";

export class StreamTypes {
  readonly #client: Client;
  readonly #known = new Map<string, string>();

  constructor(client: Client) {
    this.#client = client;
  }

  async of(stream: string): Promise<string> {
    const known = this.#known.get(stream);
    if (known !== undefined) return known;
    const contentType = await this.#client
      .stream(stream)
      .describe()
      .then(
        (described) => described.contentType,
        (thrown: unknown) => {
          const error = asTidemarkError(thrown);
          // Deleted since: its records are bytes like any others.
          if (error.code === "stream-not-found" || error.code === "stream-gone") return "";
          throw error;
        },
      );
    this.#known.set(stream, contentType);
    return contentType;
  }
}

/**
 * One webhook request: to the address that was checked and no other, without following redirects, bounded in time and in
 * what is read of the answer.
 */
import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { LookupFunction } from "node:net";
import type { Address } from "./url-policy.ts";

export type WebhookAnswer = { readonly status: number; readonly body: Uint8Array };

export type WebhookRequest = {
  readonly url: URL;
  readonly address: Address;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly responseBytesMax: number;
  /** Ends the attempt: the time is over, or the server closes. */
  readonly signal: AbortSignal;
};

/** Rejects where no whole answer came. */
export function sendWebhook({
  url,
  address,
  headers,
  body,
  responseBytesMax,
  signal,
}: WebhookRequest): Promise<WebhookAnswer> {
  const pinned: LookupFunction = (_hostname, options, callback) => {
    if (options.all === true) callback(null, [address]);
    else callback(null, address.address, address.family);
  };
  const options: RequestOptions = {
    method: "POST",
    headers: { ...headers, "content-length": String(body.length) },
    lookup: pinned,
    // A connection of its own: none that was opened to another address is used again.
    agent: false,
    signal,
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      response.on("error", reject);
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > responseBytesMax) request.destroy(new Error(`the answer has more than ${responseBytesMax} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks, length) }));
      response.on("close", () => reject(new Error("the answer ended early")));
    });
    request.end(body);
  });
}

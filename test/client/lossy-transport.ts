/** A transport to a real server that loses answers as it is told: one fault a command, in order, and then none. */
import { Addresses } from "../../client/addresses.ts";
import { Session } from "../../client/transport/session.ts";
import { TidemarkError } from "../../client/error.ts";
import { HttpTransport } from "../../client/transport/http-transport.ts";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import type { CallSignal } from "../../client/call-signal.ts";
import type { Transport } from "../../client/transport/transport.ts";
import type { Request } from "../../src/wire/request.ts";
import type { Response } from "../../src/wire/response.ts";

/** `lose-answer`: done, and nobody told. `lose-request`: never there, and nobody knows. */
export type Loss = "none" | "lose-answer" | "lose-request";

export class LossyTransport implements Transport {
  readonly losses: Loss[] = [];
  commands = 0;
  readonly #inner: HttpTransport;

  constructor(url: string) {
    const { clock } = SYSTEM_ENVIRONMENT;
    this.#inner = new HttpTransport({
      addresses: new Addresses([new URL(url)]),
      session: new Session(),
      token: undefined,
      fetch,
      clock,
    });
  }

  async request(request: Request, signal: CallSignal): Promise<Response> {
    if (request.kind !== "command") return this.#inner.request(request, signal);
    this.commands += 1;
    const loss = this.losses.shift() ?? "none";
    if (loss === "lose-request") throw new TidemarkError("connection-lost");
    const response = await this.#inner.request(request, signal);
    if (loss === "lose-answer") throw new TidemarkError("connection-lost");
    return response;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

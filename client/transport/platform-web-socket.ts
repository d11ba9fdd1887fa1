/**
 * The WebSocket that the SDK opens: in Node that of `ws`, which masks what it sends with native code where `bufferutil` is
 * there. The platform's own does it byte by byte in JavaScript: a quarter of the time of an append of 100 KB.
 *
 * A mask keeps what is sent from being taken for something else by whoever passes it on and reads it (RFC 6455, 10.3). Where
 * nobody can, it is zero (W185): then a message is sent from where it is. Its masked copies made the collector run so often
 * that they were half of what an append of 10 KB cost.
 */

type WebSocketClass = typeof WebSocket;

/** `ws` takes a third argument; deflate costs more than it saves (W112). */
type NodeWebSocketOptions = { readonly perMessageDeflate: false; readonly generateMask?: (mask: Uint8Array) => void };
type NodeWebSocketClass = new (url: string, protocols: string[], options: NodeWebSocketOptions) => WebSocket;

type NodeProcess = {
  readonly getBuiltinModule?: (id: "node:module") => {
    readonly createRequire: (from: string) => (id: "ws") => { readonly WebSocket: NodeWebSocketClass };
  };
};

/** Undefined where the platform has none. */
export function platformWebSocket(): WebSocketClass | undefined {
  return nodeWebSocket() ?? globalThis.WebSocket;
}

/** Asked for at run time, for an import would keep the SDK from loading in browsers. */
function nodeWebSocket(): WebSocketClass | undefined {
  const { process } = globalThis as { readonly process?: NodeProcess };
  const createRequire = process?.getBuiltinModule?.("node:module").createRequire;
  if (createRequire === undefined) return undefined;
  try {
    const { WebSocket: Base } = createRequire(import.meta.url)("ws");
    return class extends Base {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { perMessageDeflate: false, ...(isPrivate(new URL(url)) && { generateMask: zero }) });
      }
    } as unknown as WebSocketClass;
  } catch {
    // Bundled without it.
    return undefined;
  }
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Nobody between the ends can read it: it is encrypted, or does not leave the machine. */
export function isPrivate({ protocol, hostname }: URL): boolean {
  return protocol === "wss:" || LOOPBACK.test(hostname);
}

function zero(mask: Uint8Array): void {
  mask.fill(0);
}

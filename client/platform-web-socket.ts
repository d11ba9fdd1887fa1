/**
 * The WebSocket that the SDK opens: in Node that of `ws`, which masks what it sends with native code where `bufferutil` is
 * there. The platform's own does it byte by byte in JavaScript: a quarter of the time of an append of 100 KB.
 */

type WebSocketClass = typeof WebSocket;

/** `ws` takes a third argument; deflate costs more than it saves (W112). */
type NodeWebSocketClass = new (url: string, protocols: string[], options: { perMessageDeflate: false }) => WebSocket;

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
        super(url, protocols, { perMessageDeflate: false });
      }
    } as unknown as WebSocketClass;
  } catch {
    // Bundled without it.
    return undefined;
  }
}

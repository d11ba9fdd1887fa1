/**
 * Mutual TLS between nodes: each shows a certificate of the cluster's own authority, and the certificate's names must
 * hold the node's. Nothing is trusted but that authority: a public one vouches for no member.
 */
import tls, { type Server, type TLSSocket } from "node:tls";

/** PEM, as read from the configured files. */
export type PeerTls = { readonly ca: string; readonly cert: string; readonly key: string };

const OLDEST = "TLSv1.3";

export function dialTls(host: string, port: number, parts: PeerTls): TLSSocket {
  return tls.connect({
    host,
    port,
    ...parts,
    minVersion: OLDEST,
    // The certificate is for a node, not for a host: its names are compared with the node's in the handshake.
    checkServerIdentity: () => undefined,
  });
}

/** A listener whose connections have shown a good certificate; others are closed. */
export function createTlsServer(parts: PeerTls, handshakeMs: number, accept: (socket: TLSSocket) => void): Server {
  const server = tls.createServer(
    {
      ...parts,
      minVersion: OLDEST,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: handshakeMs,
      noDelay: true,
    },
    accept,
  );
  // The platform only reports it, and would keep the connection.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

/** What the peer's certificate stands for: its DNS names, and its common name where it has none. */
export function certificateNames(socket: TLSSocket): readonly string[] {
  const certificate = socket.getPeerCertificate();
  const names = (certificate.subjectaltname ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice("DNS:".length));
  if (names.length > 0) return names;
  const common = certificate.subject?.CN;
  return typeof common === "string" ? [common] : [];
}

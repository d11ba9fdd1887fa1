/**
 * Mutual TLS between nodes: each shows a certificate of the cluster's own authority, and the certificate's names must
 * hold the node's. Nothing is trusted but that authority: a public one vouches for no member.
 */
import type { Refusal } from "./hello.ts";
import tls, { type Server, type TLSSocket } from "node:tls";

/** PEM, as read from the configured files. */
export type PeerTls = { readonly ca: string; readonly cert: string; readonly key: string };

const OLDEST = "TLSv1.3";
/** Codes of what X.509 objects to, and OpenSSL's of all else that two may not agree on. */
const CERTIFICATE_REFUSED = /CERT|CRL|SIGNATURE|^INVALID_|MISMATCH|PATH_LENGTH/;
const TLS_FAILED = /^ERR_SSL_|^ERR_TLS_/;

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

export type TlsServerParts = {
  readonly handshakeMs: number;
  readonly accept: (socket: TLSSocket) => void;
  /** Of a connection that came to nothing; undefined where it only broke. */
  readonly failed: (refusal: Refusal | undefined) => void;
};

/** A listener whose connections have shown a good certificate; others are closed. */
export function createTlsServer(parts: PeerTls, { handshakeMs, accept, failed }: TlsServerParts): Server {
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
  server.on("tlsClientError", (error, socket) => {
    socket.destroy();
    // Of a certificate that was refused the platform says here that the connection ended, and why at the socket.
    const why = socket.authorizationError as Error | string | null | undefined;
    failed(why ? { code: "certificate-refused", detail: String(why) } : tlsRefusal(error));
  });
  return server;
}

/** Why two cannot agree; undefined for a connection that only broke. */
export function tlsRefusal(error: Error): Refusal | undefined {
  const { code = "", reason } = error as NodeJS.ErrnoException & { readonly reason?: string };
  const detail = reason ?? error.message;
  if (CERTIFICATE_REFUSED.test(code)) return { code: "certificate-refused", detail };
  return TLS_FAILED.test(code) ? { code: "tls-failed", detail } : undefined;
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

/**
 * Mutual TLS between nodes: each shows a certificate of the cluster's own authority, and the certificate's names must
 * hold the node's. Nothing is trusted but that authority: a public one vouches for no member.
 */
import type { Refusal } from "./hello.ts";
import { X509Certificate } from "node:crypto";
import tls, { type Server, type TLSSocket } from "node:tls";

/** PEM, as read from the configured files. */
export type PeerTls = { readonly ca: string; readonly cert: string; readonly key: string };

const OLDEST = "TLSv1.3";
/** Codes of what X.509 objects to, and OpenSSL's of all else that two may not agree on. */
const CERTIFICATE_REFUSED = /CERT|CRL|SIGNATURE|^INVALID_|MISMATCH|PATH_LENGTH/;
const TLS_FAILED = /^ERR_SSL_|^ERR_TLS_/;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

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

/** Connections from now on; those that are open have shown what they had. */
export function renewTlsServer(server: Server, parts: PeerTls): void {
  server.setSecureContext({ ...parts, minVersion: OLDEST });
}

/** Why these are of no use to this node; undefined if they are. Whether others trust them only they can tell. */
export function tlsProblem(parts: PeerTls, node: string, nowMs: number): string | undefined {
  try {
    tls.createSecureContext({ ...parts, minVersion: OLDEST });
    const certificate = new X509Certificate(parts.cert);
    const names = namesIn(certificate.subjectAltName ?? "", commonName(certificate));
    if (!names.includes(node)) return `the certificate is for ${names.join(", ") || "nobody"}, and not for ${node}`;
    const issuers = [...certificatesIn(parts.cert).slice(1), ...certificatesIn(parts.ca)];
    if (!issuers.some((issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)))
      return "the certificate is not of the authority";
    const { validFrom, validTo } = certificate;
    const isValid = Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo);
    return isValid ? undefined : `the certificate is valid from ${validFrom} until ${validTo}`;
  } catch (error) {
    return `certificate, key and authority do not belong together: ${(error as Error).message}`;
  }
}

function certificatesIn(pem: string): readonly X509Certificate[] {
  return [...pem.matchAll(CERTIFICATE)].map(([text]) => new X509Certificate(text));
}

/** For people. */
export function certificateFacts({ cert }: PeerTls): { readonly validTo: string; readonly serialNumber: string } {
  const { validTo, serialNumber } = new X509Certificate(cert);
  return { validTo, serialNumber };
}

/** Why two cannot agree; undefined for a connection that only broke. */
export function tlsRefusal(error: Error): Refusal | undefined {
  const { code = "", reason } = error as NodeJS.ErrnoException & { readonly reason?: string };
  const detail = reason ?? error.message;
  if (CERTIFICATE_REFUSED.test(code)) return { code: "certificate-refused", detail };
  return TLS_FAILED.test(code) ? { code: "tls-failed", detail } : undefined;
}

/** What the peer's certificate stands for: its DNS names, and its common name where it has none; nothing once the socket is gone. */
export function certificateNames(socket: TLSSocket): readonly string[] {
  // Its type does not say that it can be null.
  const certificate: Partial<tls.PeerCertificate> | null = socket.getPeerCertificate();
  const common = certificate?.subject?.CN;
  return namesIn(certificate?.subjectaltname ?? "", typeof common === "string" ? common : undefined);
}

function namesIn(alternatives: string, common: string | undefined): readonly string[] {
  const names = alternatives
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice("DNS:".length));
  if (names.length > 0) return names;
  return common === undefined ? [] : [common];
}

function commonName({ subject }: X509Certificate): string | undefined {
  return /^CN=(.*)$/m.exec(subject)?.[1];
}

/**
 * The one table of error codes: what each means, its HTTP status, and whether a client may try again. Answers are
 * RFC 9457 problem documents that carry `code` and `retryable`; SDK errors carry the same code.
 */

export type ErrorInfo = {
  readonly status: number;
  readonly title: string;
  /** The same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** What is known of the command: most errors leave nothing applied. */
  readonly outcome: "not-applied" | "unknown";
};

function refused(status: number, title: string): ErrorInfo {
  return { status, title, retryable: false, outcome: "not-applied" };
}

function later(status: number, title: string): ErrorInfo {
  return { status, title, retryable: true, outcome: "not-applied" };
}

export const ERRORS = {
  "malformed-request": refused(400, "The request cannot be understood"),
  "malformed-url": refused(400, "The URL cannot be understood"),
  "malformed-name": refused(400, "The stream name is not allowed"),
  "malformed-header": refused(400, "A header cannot be understood"),
  "malformed-offset": refused(400, "The offset is not one this server made"),
  "malformed-json": refused(400, "The body is not valid JSON"),
  "malformed-batch": refused(400, "The batch cannot be decoded"),
  "malformed-frame": refused(400, "The frame cannot be decoded"),
  "malformed-command": refused(400, "The command cannot be decoded"),
  "checksum-mismatch": refused(400, "The batch does not match its checksum"),
  "unsupported-version": refused(400, "The version is not supported"),
  "unsupported-compression": refused(400, "The compression is not supported here"),
  "empty-body": refused(400, "There is nothing to append"),
  "invalid-producer": refused(400, "The producer's epoch or sequence is not valid"),
  "invalid-fork": refused(400, "The fork point is not valid"),
  "invalid-subscription": refused(400, "The subscription is not valid"),
  "invalid-group": refused(400, "The group, or what is asked of it, is not valid"),
  "invalid-app": refused(400, "The app, or what is said of its tasks, is not valid"),
  "webhook-forbidden": refused(400, "The webhook's address is not allowed"),
  "unauthorized": refused(401, "A valid token is needed"),
  "producer-fenced": refused(403, "A newer epoch of this producer exists"),
  "forbidden-origin": refused(403, "Other sites may not use this server without a token"),
  "stream-not-found": refused(404, "There is no such stream"),
  "subscription-not-found": refused(404, "There is no such subscription"),
  "group-not-found": refused(404, "There is no such group"),
  "app-not-found": refused(404, "There is no such app, or no such task of it"),
  "route-not-found": refused(404, "There is no such route"),
  "member-not-found": refused(404, "There is no such member of the cluster"),
  "cursor-not-found": refused(404, "There is no such cursor"),
  "method-not-allowed": refused(405, "The method is not allowed here"),
  "not-acceptable": refused(406, "None of the media types asked for is served here"),
  "request-timeout": later(408, "The request took too long to arrive"),
  "stream-exists": refused(409, "The stream exists with another configuration"),
  "stream-closed": refused(409, "The stream is closed"),
  "content-type-mismatch": refused(409, "The content type is not the stream's"),
  "sequence-gap": refused(409, "A sequence number of the producer is missing"),
  "stream-sequence-conflict": refused(409, "The stream sequence does not increase"),
  "stream-has-forks": refused(409, "The stream is deleted but forks still need it"),
  "fork-too-deep": refused(409, "The chain of forks is too long"),
  "subscription-exists": refused(409, "The subscription exists with another configuration"),
  "group-exists": refused(409, "The group exists with another configuration"),
  "group-busy": refused(409, "Members of the group are at work"),
  "app-exists": refused(409, "The app is deployed in this version with another topology"),
  "app-changed": refused(409, "The app's tasks have state of another topology"),
  "app-paused": refused(409, "The app is paused"),
  "task-moved": refused(409, "The task is not where the commit begins"),
  "snapshot-needed": refused(409, "What a task needs of its snapshot cannot be taken away"),
  "app-needs": refused(409, "A deployed app needs the stream as it is"),
  "task-fenced": refused(409, "A newer version or run of the app is deployed"),
  "already-claimed": refused(409, "Another worker holds the lease"),
  "fenced": refused(409, "The generation or wake is no longer current"),
  "nothing-pending": refused(409, "The subscription has nothing pending"),
  "condition-failed": refused(409, "A condition of the transaction does not hold"),
  "member-alive": refused(409, "The member answers: it has its disk, and is not to be replaced"),
  "cluster-conflict": refused(409, "The cluster cannot be changed so, or not now"),
  "upgrade-needed": refused(409, "The cluster is at a feature level that does not have this"),
  "cluster-changed": refused(409, "The session token is from another cluster"),
  "stream-gone": refused(410, "The stream is deleted"),
  "offset-trimmed": refused(410, "The offset is before the first retained record"),
  "precondition-failed": refused(412, "A precondition in a header does not hold"),
  "offset-mismatch": refused(412, "The stream's next offset is not the expected one"),
  "body-too-large": refused(413, "The body is too large"),
  "record-too-large": refused(413, "A record is too large"),
  "batch-too-large": refused(413, "The batch is too large"),
  "url-too-long": refused(414, "The URL is too long"),
  "unsupported-media-type": refused(415, "The content type is not one this route takes"),
  "too-many": refused(422, "The request has too many parts"),
  "upgrade-required": refused(426, "This path takes WebSocket connections only"),
  "headers-too-large": refused(431, "The headers are too large"),
  "overloaded": later(429, "Too much is waiting; try again shortly"),
  "internal": { status: 500, title: "A fault in the server", retryable: false, outcome: "unknown" },
  "not-configured": refused(501, "The server was not told what this needs"),
  "damaged": refused(500, "The data is damaged on this node's disk and is not served"),
  "repairing": later(503, "The data is damaged on this node's disk, and other nodes are asked for it"),
  "unavailable": later(503, "The node is starting, stopping or has no leader"),
  "node-removed": later(503, "The node was removed from the cluster; others serve it"),
  "not-leader": later(503, "Another node leads the log"),
  "outcome-unknown": {
    status: 504,
    title: "It is not known whether the command took effect",
    retryable: true,
    outcome: "unknown",
  },
  "disk-full": later(507, "The disk is too full to accept more"),
} as const satisfies Readonly<Record<string, ErrorInfo>>;

export type ErrorCode = keyof typeof ERRORS;

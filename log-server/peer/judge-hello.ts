/** Whether to talk to whoever says this hello. Each side judges the other; a refusal tells the other what to do about it. */
import { type Hello, type Refusal, type Self, VERSION_NEWEST, VERSION_OLDEST } from "./hello.ts";

/** A member as this node knows it. */
export type KnownPeer = {
  readonly node: string;
  readonly host: string;
  readonly port: number;
  /** Undefined until the peer's disk is known. */
  readonly disk: string | undefined;
};

/** What the cluster has decided, as far as this node knows. */
export type ClusterRules = {
  /** Whoever supports less would not know what to do with what is in the log. */
  readonly featureLevel: number;
  /** It was a member's, and is none's now. */
  readonly isFormerDisk: (disk: string) => boolean;
};

export const NO_RULES: ClusterRules = { featureLevel: 0, isFormerDisk: () => false };

/** Undefined: welcome. `names`, where TLS gave them, are those that the peer's certificate stands for. */
export function judgeHello(
  self: Self,
  known: KnownPeer | undefined,
  rules: ClusterRules,
  hello: Hello,
  names: readonly string[] | undefined,
): Refusal | undefined {
  const peer = JSON.stringify(hello.node);
  if (hello.versionNewest < VERSION_OLDEST || hello.versionOldest > VERSION_NEWEST) {
    return {
      code: "unsupported-version",
      detail: `node ${JSON.stringify(self.node)} speaks versions ${VERSION_OLDEST} to ${VERSION_NEWEST} of the peer protocol, ${peer} ${hello.versionOldest} to ${hello.versionNewest}`,
    };
  }
  if (hello.to !== self.node) {
    return {
      code: "wrong-node",
      detail: `this is node ${JSON.stringify(self.node)}, not ${JSON.stringify(hello.to)}: is the peer's address right?`,
    };
  }
  if (hello.node === self.node) {
    return { code: "own-name", detail: `both nodes are called ${peer}` };
  }
  if (names !== undefined && !names.includes(hello.node)) {
    return { code: "certificate-mismatch", detail: `the certificate is for ${names.join(", ")}, not for ${peer}` };
  }
  if (self.cluster !== "" && hello.cluster !== "" && self.cluster !== hello.cluster) {
    return { code: "wrong-cluster", detail: `${peer} belongs to cluster ${hello.cluster}, not to ${self.cluster}` };
  }
  if (hello.featureLevel < rules.featureLevel) {
    return {
      code: "feature-level",
      detail: `the cluster is at feature level ${rules.featureLevel}, and ${peer} supports ${hello.featureLevel}: install a newer version there`,
    };
  }
  // Whatever else is known of the name: what it has promised was forgotten, or others have taken its place (P33).
  if (rules.isFormerDisk(hello.disk)) {
    return {
      code: "removed",
      detail: `${peer} with disk ${hello.disk} was removed or replaced, and that disk never comes back: add it with "tidemark cluster add" if it is no member, and start it with an empty folder`,
    };
  }
  if (known === undefined) {
    return { code: "unknown-node", detail: `${peer} is not a member: add it to the cluster first` };
  }
  if (known.disk !== undefined && known.disk !== hello.disk) {
    return {
      code: "disk-changed",
      detail: `${peer} was known with disk ${known.disk} and has ${hello.disk}: its data was lost or swapped: "tidemark cluster replace ${hello.node}" takes it in anew`,
    };
  }
  if (!hello.logs.some((log) => self.logs.includes(log))) {
    return { code: "no-shared-log", detail: `${peer} has none of the logs ${self.logs.join(", ")}` };
  }
  return undefined;
}

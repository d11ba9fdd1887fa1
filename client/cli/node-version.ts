/** Says clearly that the Node that runs this is too old, before anything else can fail in a less clear way. */

const NODE_MINIMUM = { major: 22, minor: 18 } as const;

/** What to tell the user, or undefined if this Node is new enough. */
export function nodeObjection(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > NODE_MINIMUM.major || (major === NODE_MINIMUM.major && minor >= NODE_MINIMUM.minor)) return undefined;
  return `tidemark needs Node ${NODE_MINIMUM.major}.${NODE_MINIMUM.minor} or newer; this is Node ${version}`;
}

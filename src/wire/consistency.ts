/**
 * What a read may be answered from (SPEC.md, "Consistency"). `linearizable`: everything that was decided before it was
 * asked; `session`: nothing from before what the asker has shown to have seen; `eventual`: whatever the node has.
 */
export const CONSISTENCIES = ["linearizable", "session", "eventual"] as const;

export type Consistency = (typeof CONSISTENCIES)[number];

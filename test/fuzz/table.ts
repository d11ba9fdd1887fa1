/** Everything that reads what others wrote: the list of what is fuzzed. A new parser gets its line here. */
import type { Target } from "./target.ts";
import { DISK_TARGETS } from "./targets/disk-targets.ts";
import { FACE_TARGETS } from "./targets/face-targets.ts";
import { LOG_TARGETS } from "./targets/log-targets.ts";
import { OPERATOR_TARGETS } from "./targets/operator-targets.ts";
import { PEER_TARGETS } from "./targets/peer-targets.ts";
import { RECORD_TARGETS } from "./targets/record-targets.ts";
import { SERVER_TARGETS } from "./targets/server-targets.ts";
import { SETTINGS_TARGETS } from "./targets/settings-targets.ts";
import { WIRE_TARGETS } from "./targets/wire-targets.ts";

export const TARGETS: readonly Target[] = [
  ...RECORD_TARGETS,
  ...WIRE_TARGETS,
  ...FACE_TARGETS,
  ...SETTINGS_TARGETS,
  ...PEER_TARGETS,
  ...DISK_TARGETS,
  ...LOG_TARGETS,
  ...OPERATOR_TARGETS,
  ...SERVER_TARGETS,
];

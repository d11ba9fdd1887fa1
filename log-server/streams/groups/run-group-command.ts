/** Which of the group commands does what; see `src/wire/group-command.ts`. */
import { unreachable } from "../../../src/lib/assert.ts";
import type { CommandResult } from "../../../src/wire/command.ts";
import type { GroupCommand } from "../../../src/wire/group-command.ts";
import { createGroup, deleteGroup, resetGroup } from "./manage-group.ts";
import { ackPartitions, heartbeatGroup, joinGroup, leaveGroup } from "./serve-partitions.ts";
import { putDeadLetter, settleRecords, takeRecords } from "./serve-queue.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";

export function runGroupCommand(state: State, step: Step, command: GroupCommand): CommandResult {
  switch (command.kind) {
    case "group-create":
      return createGroup(state, step, command);
    case "group-delete":
      return deleteGroup(state, step, command);
    case "group-join":
      return joinGroup(state, step, command);
    case "group-leave":
      return leaveGroup(state, step, command);
    case "group-heartbeat":
      return heartbeatGroup(state, step, command);
    case "group-ack":
      return ackPartitions(state, step, command);
    case "group-take":
      return takeRecords(state, step, command);
    case "group-settle":
      return settleRecords(state, step, command);
    case "group-reset":
      return resetGroup(state, step, command);
    case "group-dead-letter":
      return putDeadLetter(state, step, command);
    default:
      return unreachable(command);
  }
}

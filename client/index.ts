/**
 * The SDK's public surface, and all of it: what is not named here may change. Runs in Node 22 and newer and in browsers.
 *
 * Three layers: single calls (`stream.append`, which may overlap), a producer that batches (`stream.producer`), and readers
 * (`stream.read`, `stream.subscribe`). Every call takes a `signal` and a `timeout`, retries what is worth retrying, and fails
 * with a `TidemarkError` that tells whether it took effect.
 */
export { connect, type Client, type ConnectOptions } from "./client.ts";
export type { TokenSource } from "./transport/http-exchange.ts";
export type {
  Appended,
  AppendOptions,
  Created,
  CreateOptions,
  FromTime,
  Place,
  ProducerOptions,
  ReadOptions,
  Stream,
  SubscribeOptions,
} from "./stream.ts";
export type { Description, StreamInfo } from "./description.ts";
export type { ListOptions } from "./paged.ts";
export type { OperationResult, Transaction, TransactionAppendOptions } from "./appending/transaction.ts";
export type { Cluster, ClusterMember, ClusterStatus, PeerAddress } from "./cluster.ts";
export type { App, DeployOptions, Deployed, ResetAppOptions, ResetAppOutcome, ResetTask } from "./apps/app.ts";
export type { GoneInput } from "../src/wire/lost-input.ts";
export type {
  AppDescription,
  AppInfo,
  AppTaskDescription,
  CommittedDigest,
  SnapshotDescription,
} from "./apps/app-description.ts";
export type { ReplicaReport, WorkerReport } from "./apps/worker-report.ts";
export type { Cursor, CursorOptions } from "./reading/cursor.ts";
export type {
  CreateGroupOptions,
  Group,
  GroupHandler,
  JoinOptions,
  ResetOptions,
  ResetOutcome,
  RunOptions,
  TakeOnceOptions,
  TakeOptions,
} from "./groups/group.ts";
export type { GroupDescription, GroupInfo, GroupMemberInfo, GroupProgress } from "./groups/group-description.ts";
export type { GroupRecord } from "./groups/group-record.ts";
export type { ResetMove, ResetTarget } from "./groups/group-reset.ts";
export type { AssignedStream, Membership } from "./groups/membership.ts";
export type { Deliveries } from "./groups/deliveries.ts";
export type { Delivery, NackOptions } from "./groups/delivery.ts";
export type { TypedInput, TypedReadOptions, TypedStream, TypedSubscribeOptions } from "./typed-stream.ts";
export type { InvalidPolicy, TypedRecord, TypedRecordStream } from "./reading/typed-record-stream.ts";
export type { Producer } from "./appending/producer.ts";
export type { RecordStream, ReadStatus } from "./reading/record-stream.ts";
export type { ReceivedRecord } from "./reading/received-record.ts";
export type { FollowOptions } from "./reading/follow-options.ts";
export type { FollowedRecord, LogMark } from "./reading/followed-record.ts";
export type { MergedStream } from "./reading/merged-stream.ts";
export type { LogPlace } from "../src/record/log-place.ts";
export type { TaskLog } from "../src/runtime/task-log.ts";
export type { RecordPlace } from "../src/record/record-place.ts";
export type { TaskPlace } from "../src/record/task-place.ts";
export type { TaskSpec } from "../src/wire/app-command.ts";
export type { BytesInput, RecordInput } from "./appending/record-input.ts";
export type { CallOptions } from "./deadline.ts";
export { TidemarkError, type Gap, type Outcome, type SchemaIssue, type TidemarkErrorCode } from "./error.ts";
export { DIAGNOSTIC_CHANNELS, type DiagnosticMessage } from "./diagnostics.ts";
export type { CallSignal } from "./call-signal.ts";
export type { Transport } from "./transport/transport.ts";
export type { DiagnosticChannel, Environment } from "./environment.ts";
export type { Consistency } from "../src/wire/consistency.ts";
export type { Zstd } from "../src/ports/zstd.ts";
export type { Compaction, Retention } from "../src/wire/command.ts";
export type { Behind, StreamOrigin } from "../src/wire/stream-facts.ts";
export type { RecordHeader } from "../src/record/record.ts";

/**
 * All consumer groups: which streams each follows, who its members are, what in its queues is due or may be taken. An
 * append costs a look at the queues that had given out all of its stream, and at no others.
 */
import { assert } from "../../../src/lib/assert.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { Deadlines } from "../deadlines.ts";
import type { Group, GroupLink } from "./group.ts";
import { compareMembers, compareTexts, type GroupMember } from "./group-member.ts";
import { GroupPartition } from "./group-partition.ts";
import { compareQueues, GroupQueue } from "./group-queue.ts";
import type { StreamsLimits } from "../limits.ts";
import type { RowLedger } from "../row-ledger.ts";
import type { Step } from "../step.ts";
import type { Stream } from "../stream.ts";

export class GroupTable {
  readonly #ledger: RowLedger;
  readonly #limits: StreamsLimits;
  readonly #byId = new Map<string, Group>();
  /** Sorted by id: who finds a place when places are few must not depend on history (I10). */
  readonly #sorted: Group[] = [];
  #linkCount = 0;
  #memberCount = 0;
  #outstanding = 0;
  readonly #withDead = new Set<GroupQueue>();
  /** Ends of members' sessions. */
  readonly sessions = new Deadlines<GroupMember>(compareMembers);
  /** Ends of records' leases. */
  readonly leases = new Deadlines<GroupQueue>(compareQueues);

  constructor(ledger: RowLedger, limits: StreamsLimits) {
    this.#ledger = ledger;
    this.#limits = limits;
  }

  get count(): number {
    return this.#sorted.length;
  }

  /** Whether more may be given out for the first time than what each group is assured of. */
  get hasSharedRoom(): boolean {
    return this.#outstanding < this.#limits.groupOutstandingMax;
  }

  /** Records that a group may still give out for the first time, over all its streams. */
  roomOf({ outstanding }: Group): number {
    const { groupOutstandingMax, groupOutstandingAssured } = this.#limits;
    return Math.max(groupOutstandingMax - this.#outstanding, groupOutstandingAssured - outstanding);
  }

  /** Others have made room: whoever had none, and has something to give, may go on. */
  roomMade(step: Step): void {
    for (const group of this.#sorted) if (group.ready.length > 0) step.groupsReady.add(group.id);
  }

  /** Over all groups. */
  get memberCount(): number {
    return this.#memberCount;
  }

  get(id: string): Group | undefined {
    return this.#byId.get(id);
  }

  all(): readonly Group[] {
    return this.#sorted;
  }

  /** In order of ids, those after this one. */
  *after(id: string): Iterable<Group> {
    for (let place = this.#placeOf(id); place < this.#sorted.length; place += 1) {
      const group = this.#sorted[place] as Group;
      if (group.id !== id) yield group;
    }
  }

  /** Queues with dead records that wait for the leader. */
  withDead(): readonly GroupQueue[] {
    return [...this.#withDead].sort(compareQueues);
  }

  get hasDead(): boolean {
    return this.#withDead.size > 0;
  }

  add(group: Group): void {
    this.#byId.set(group.id, group);
    this.#sorted.splice(this.#placeOf(group.id), 0, group);
  }

  remove(group: Group): void {
    for (const link of [...group.links.values()]) this.removeLink(link);
    for (const member of [...group.members.values()]) this.removeMember(member);
    this.#byId.delete(group.id);
    this.#sorted.splice(this.#placeOf(group.id), 1);
    this.#ledger.remove(group);
  }

  hasRoom(group: Group, links = 1): boolean {
    return (
      group.links.size + links <= this.#limits.linksPerGroupMax && this.#linkCount + links <= this.#limits.groupLinksMax
    );
  }

  /** Makes a link whose row is not known yet. */
  link(group: Group, stream: Stream, at: Offset): GroupLink {
    const link =
      group.config.mode.kind === "partitions"
        ? new GroupPartition(group, stream, at)
        : new GroupQueue(group, stream, at);
    this.insertLink(link);
    this.#ledger.put(link);
    return link;
  }

  insertLink(link: GroupLink): void {
    const { group, stream } = link;
    assert(!group.links.has(stream), "a group has one link to a stream");
    group.links.set(stream, link);
    stream.groupLinks ??= new Set();
    stream.groupLinks.add(link);
    this.#linkCount += 1;
    if (link.kind === "queue") this.index(link);
    else link.owner?.owned.add(link);
  }

  removeLink(link: GroupLink): void {
    const { group, stream } = link;
    group.links.delete(stream);
    stream.groupLinks?.delete(link);
    if (stream.groupLinks?.size === 0) stream.groupLinks = undefined;
    this.#linkCount -= 1;
    if (link.kind === "queue") this.#unindex(link);
    else link.owner?.owned.delete(link);
    this.#ledger.remove(link);
  }

  /** A new stream, still empty of own records: whoever wants it is linked before its first append. */
  linkNewStream(stream: Stream, step: Step): void {
    for (const group of this.#sorted) {
      if (!group.wants(stream.name)) continue;
      if (this.hasRoom(group)) {
        const link = this.link(group, stream, startIn(group, stream));
        this.#changed(link, step);
        step.journal?.record(() => this.removeLink(link));
      } else {
        group.unlinked += 1;
        this.#ledger.touch(group);
        step.journal?.record(() => (group.unlinked -= 1));
      }
    }
  }

  /** The stream ended: nobody follows it any more. */
  unlinkStream(stream: Stream, step: Step): void {
    if (stream.groupLinks === undefined) return;
    for (const link of [...stream.groupLinks]) {
      const lost = link.kind === "queue" ? link.records.countOf("dead") : 0;
      this.#drop(link.group, lost);
      this.removeLink(link);
      this.#changed(link, step);
      step.journal?.record(() => {
        this.insertLink(link);
        this.#ledger.put(link);
        this.#drop(link.group, -lost);
      });
    }
  }

  /** The stream has grown: queues that had given out all of it have something again. */
  grown(stream: Stream, step: Step): void {
    const { idleQueues } = stream;
    if (idleQueues === undefined) return;
    stream.idleQueues = undefined;
    for (const queue of idleQueues) {
      queue.idle = false;
      this.#list(queue);
      this.#changed(queue, step);
    }
    step.journal?.record(() => {
      stream.idleQueues = idleQueues;
      for (const queue of idleQueues) {
        queue.idle = true;
        this.#list(queue);
      }
    });
  }

  /** Records before the stream's first retained one are done for everyone: nobody can be given them. */
  trimmed(stream: Stream, step: Step): void {
    const { firstOffset } = stream;
    for (const link of stream.groupLinks ?? []) {
      if (link.kind === "partitions") {
        if (link.committed >= firstOffset) continue;
        link.committed = firstOffset;
        this.#ledger.touch(link);
      } else if (link.committed < firstOffset) {
        this.#drop(link.group, deadBefore(link, firstOffset));
        link.records.set(0, firstOffset, undefined);
        link.next = Math.max(link.next, firstOffset);
        this.refresh(link, step);
      }
    }
  }

  addMember(member: GroupMember): void {
    member.group.members.set(member.name, member);
    this.#memberCount += 1;
    this.sessions.set(member.deadline, member.untilMs);
  }

  /** Who owned what is the caller's to know, or all of it is going. */
  removeMember(member: GroupMember): void {
    member.group.members.delete(member.name);
    this.#memberCount -= 1;
    this.sessions.cancel(member.deadline);
    this.#ledger.remove(member);
  }

  /** After every change of a queue. */
  refresh(queue: GroupQueue, step: Step): void {
    this.index(queue);
    this.#ledger.touch(queue);
    this.#changed(queue, step);
  }

  /** Puts a queue where it is found by what it has: idle or not, dead records, leases that end. */
  index(queue: GroupQueue): void {
    const { stream, records } = queue;
    this.#count(queue, records.count);
    if (records.countOf("dead") > 0) this.#withDead.add(queue);
    else this.#withDead.delete(queue);
    const endsMs = firstEnd(queue);
    if (endsMs === undefined) this.leases.cancel(queue.deadline);
    else this.leases.set(queue.deadline, endsMs);
    queue.idle = queue.next >= stream.nextOffset;
    if (queue.idle) {
      stream.idleQueues ??= new Set();
      stream.idleQueues.add(queue);
    } else {
      notIdle(queue);
    }
    this.#list(queue);
  }

  #count(queue: GroupQueue, records: number): void {
    this.#outstanding += records - queue.counted;
    queue.group.outstanding += records - queue.counted;
    queue.counted = records;
  }

  #unindex(queue: GroupQueue): void {
    this.#count(queue, 0);
    this.#withDead.delete(queue);
    this.leases.cancel(queue.deadline);
    notIdle(queue);
    if (queue.listed) queue.group.ready.splice(this.#readyPlace(queue), 1);
    queue.listed = false;
  }

  /** Among its group's ready ones or not: as it is now. */
  #list(queue: GroupQueue): void {
    const ready = !queue.idle || queue.records.countOf("resting") > 0;
    if (ready === queue.listed) return;
    queue.listed = ready;
    queue.group.ready.splice(this.#readyPlace(queue), ready ? 0 : 1, ...(ready ? [queue] : []));
  }

  /** Dead records whose stream is gone before they came to the dead-letter stream went nowhere. */
  #drop(group: Group, records: number): void {
    if (records === 0) return;
    group.dropped += records;
    this.#ledger.touch(group);
  }

  #changed(link: GroupLink, step: Step): void {
    if (link.kind === "partitions") step.unbalanced.add(link.group);
    else if (link.listed) step.groupsReady.add(link.group.id);
  }

  #readyPlace(queue: GroupQueue): number {
    return firstNotBefore(queue.group.ready, (other) => other.stream.id < queue.stream.id);
  }

  #placeOf(id: string): number {
    return firstNotBefore(this.#sorted, (other) => compareTexts(other.id, id) < 0);
  }
}

/** Where a group begins in a stream that it meets. */
export function startIn(group: Group, stream: Stream): Offset {
  return group.config.from === "start" ? stream.firstOffset : stream.nextOffset;
}

function notIdle(queue: GroupQueue): void {
  const { stream } = queue;
  stream.idleQueues?.delete(queue);
  if (stream.idleQueues?.size === 0) stream.idleQueues = undefined;
}

function deadBefore({ records }: GroupQueue, offset: Offset): number {
  if (records.countOf("dead") === 0) return 0;
  const lost = records.within(0, offset).filter(({ state }) => state.kind === "dead");
  return lost.reduce((sum, { from, to }) => sum + to - from, 0);
}

function firstEnd({ records }: GroupQueue): number | undefined {
  if (records.countOf("leased") === 0) return undefined;
  let first = Number.POSITIVE_INFINITY;
  for (const { state } of records.all) if (state.kind === "leased") first = Math.min(first, state.untilMs);
  return first;
}

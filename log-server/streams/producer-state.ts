/** The producers of streams: found, moved on by what is accepted, forgotten when idle (I8, P36, P37). */
import type { Offset } from "../../src/record/offset.ts";
import type { ProducerTag, Rejection } from "../../src/wire/command.ts";
import { Answers } from "./answers.ts";
import { Producer } from "./producer.ts";
import { tooMany } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import type { Stream } from "./stream.ts";
import { dropProducer, keepProducer } from "./stream-lifecycle.ts";

/** One that is past its time counts as forgotten, though no entry has had room to forget it yet. */
export function findProducer(state: State, step: Step, stream: Stream, id: string): Producer | undefined {
  const producer = stream.producers?.get(id);
  if (producer === undefined || producer.deadline.atMs > step.logTime) return producer;
  forgetProducer(state, producer);
  return undefined;
}

/** What is due is no part of a transaction, and is not undone with it. */
export function forgetProducer(state: State, producer: Producer): void {
  producer.stream.producers?.delete(producer.id);
  dropProducer(state, producer);
}

/** Whether a new producer finds no place. */
export function producerRefusal(state: State, stream: Stream): Rejection | undefined {
  const { producersPerStreamMax, producersMax } = state.limits;
  if ((stream.producers?.size ?? 0) >= producersPerStreamMax)
    return tooMany("producers of one stream", producersPerStreamMax);
  if (state.producerCount >= producersMax) return tooMany("producers", producersMax);
  return undefined;
}

/** The tagged command was accepted with this answer. */
export function advanceProducer(
  state: State,
  step: Step,
  stream: Stream,
  tag: ProducerTag,
  answer: { readonly firstOffset: Offset; readonly span: number },
): void {
  const known = stream.producers?.get(tag.id);
  const producer = known ?? new Producer(stream, tag.id, tag.epoch, tag.sequence, new Answers(), step.logTime);
  const restore = known !== undefined && step.journal !== undefined ? producer.beforeImage() : undefined;
  if (tag.epoch !== producer.epoch) producer.answers = new Answers();
  producer.epoch = tag.epoch;
  producer.sequence = tag.sequence;
  producer.usedAtMs = step.logTime;
  producer.answers.push(answer.firstOffset, answer.span, state.limits.producerAnswersMax);
  if (known === undefined) {
    stream.producers ??= new Map();
    stream.producers.set(producer.id, producer);
    keepProducer(state, producer);
    step.journal?.record(() => {
      stream.producers?.delete(producer.id);
      dropProducer(state, producer);
    });
    return;
  }
  state.producerExpiries.set(producer.deadline, producer.usedAtMs + state.limits.producerIdleMs);
  state.ledger.touch(producer);
  if (restore === undefined) return;
  step.journal?.record(() => {
    restore();
    state.producerExpiries.set(producer.deadline, producer.usedAtMs + state.limits.producerIdleMs);
  });
}

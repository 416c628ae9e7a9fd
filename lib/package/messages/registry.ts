/** Every kind of message there is. */
import { aggregateMessage } from './aggregate.js';
import { answerMessage } from './answer.js';
import { closeMessage } from './close.js';
import { enrolmentMessage } from './enrolment.js';
import type { MessageType } from './message-type.js';
import { partialSumMessage } from './partial-sum.js';
import { planMessage } from './plan.js';
import { releaseMessage } from './release.js';
import { rosterMessage } from './roster.js';
import { updateMessage } from './update.js';
import { verdictMessage } from './verdict.js';

const messageTypes = {
  roster: rosterMessage,
  plan: planMessage,
  update: updateMessage,
  'partial-sum': partialSumMessage,
  aggregate: aggregateMessage,
  answer: answerMessage,
  close: closeMessage,
  release: releaseMessage,
  enrolment: enrolmentMessage,
  verdict: verdictMessage,
};

export type MessageKind = keyof typeof messageTypes;

/** The body of a kind of message: `BodyOf<'update'>` is `UpdateBody`. */
export type BodyOf<K extends MessageKind> =
  (typeof messageTypes)[K] extends MessageType<infer Body> ? Body : never;

export const MESSAGE_KINDS = Object.keys(messageTypes) as readonly MessageKind[];

export function isMessageKind(kind: string): kind is MessageKind {
  return Object.hasOwn(messageTypes, kind);
}

export function messageType<K extends MessageKind>(kind: K): MessageType<BodyOf<K>> {
  // The table's rows and BodyOf are made from each other; the compiler cannot follow that through K.
  return messageTypes[kind] as unknown as MessageType<BodyOf<K>>;
}

/** A round as it is shown. Everything in it is in signed headers, or the machine's own doing. */
import { z } from 'zod';
import { PHASES } from '../../round/machine/phases.js';
import { acceptedUpdates, type RoundState, sentUpdates } from '../../round/machine/state.js';

const timesSchema = z.partialRecord(z.enum(PHASES), z.int());

const headSchema = z.object({
  plan: z.string(),
  fleet: z.string(),
  policy: z.string(),
  cohort: z.string(),
  round: z.int(),
  phase: z.enum(PHASES),
  opensAtMs: z.int(),
  deadlineMs: z.int(),
  quorum: z.int(),
  maxClients: z.int(),
  threshold: z.int(),
  eligible: z.int(),
  enteredAtMs: timesSchema,
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
  close: z.object({ record: z.string(), opened: z.boolean(), reason: z.string().optional() }).optional(),
  release: z.object({ fingerprint: z.string() }).optional(),
});

const refusalSchema = z.object({
  client: z.string().optional(),
  fingerprint: z.string().optional(),
  code: z.string(),
  reason: z.string(),
  atMs: z.int().optional(),
});

/** Counts in place of lists: what events and listings carry. */
export const roundSummarySchema = headSchema.extend({
  received: z.int(),
  refused: z.int(),
  outliers: z.int().optional().describe('Flagged by tests, once they have looked'),
  accepted: z.int().optional(),
  answered: z.int(),
});
export type RoundSummary = z.infer<typeof roundSummarySchema>;

export const roundStatusSchema = headSchema.extend({
  received: z.array(
    z.object({
      client: z.string(),
      update: z.string(),
      receivedAtMs: z.int(),
      stalenessRounds: z.int().optional(),
      outlier: z
        .object({ test: z.string(), reason: z.string() })
        .optional()
        .describe('A first signal, from what clients report of themselves'),
      gateway: z.string().optional().describe('Whose partial sum it came in'),
      partialSum: z.string().optional(),
    }),
  ),
  outliers: z
    .object({ action: z.enum(['flag', 'refuse']) })
    .optional()
    .describe('There once tests have looked at the updates: whether the sum leaves out what they flag'),
  refusals: z.array(refusalSchema),
  unlistedRefusals: z.int(),
  aggregate: z
    .object({ fingerprint: z.string(), set: z.string(), accepted: z.int(), refused: z.array(refusalSchema) })
    .optional(),
  answers: z.array(z.object({ custodian: z.string(), fingerprint: z.string(), atMs: z.int() })),
  custodianRefusals: z.array(
    z.object({ custodian: z.string(), code: z.string(), reason: z.string(), atMs: z.int() }),
  ),
});
export type RoundStatus = z.infer<typeof roundStatusSchema>;

type Head = z.infer<typeof headSchema>;

function headOf(
  plan: string,
  { settings, phase, members, enteredAtMs, failure, close, release }: RoundState,
): Head {
  const { key, opensAtMs, deadlineMs, quorum, maxClients, threshold } = settings;
  return {
    plan,
    ...key,
    phase,
    opensAtMs,
    deadlineMs,
    quorum,
    maxClients,
    threshold,
    eligible: members.length,
    enteredAtMs,
    ...(failure !== undefined && { failure }),
    ...(close !== undefined && { close }),
    ...(release !== undefined && { release }),
  };
}

function refusedInSum(state: RoundState) {
  return sentUpdates(state).flatMap(({ client, update: { fingerprint, refused } }) =>
    refused === undefined ? [] : [{ client, fingerprint, ...refused }],
  );
}

export function roundSummary(plan: string, state: RoundState): RoundSummary {
  return {
    ...headOf(plan, state),
    received: sentUpdates(state).length,
    refused: state.refusals.length + state.unlistedRefusals + refusedInSum(state).length,
    ...(state.outliers !== undefined && {
      outliers: sentUpdates(state).filter(({ update }) => update.outlier !== undefined).length,
    }),
    ...(state.aggregate !== undefined && { accepted: acceptedUpdates(state).length }),
    answered: state.answers.length,
  };
}

export function roundStatus(plan: string, state: RoundState): RoundStatus {
  const { aggregate } = state;
  return {
    ...headOf(plan, state),
    received: sentUpdates(state).map(({ client, update }) => ({
      client,
      update: update.fingerprint,
      receivedAtMs: update.receivedAtMs,
      ...(update.stalenessRounds !== undefined && { stalenessRounds: update.stalenessRounds }),
      ...(update.outlier !== undefined && { outlier: update.outlier }),
      ...update.via,
    })),
    ...(state.outliers !== undefined && { outliers: state.outliers }),
    refusals: state.refusals.map((refusal) => ({ ...refusal })),
    unlistedRefusals: state.unlistedRefusals,
    ...(aggregate !== undefined && {
      aggregate: {
        fingerprint: aggregate.fingerprint,
        set: aggregate.set,
        accepted: acceptedUpdates(state).length,
        refused: refusedInSum(state),
      },
    }),
    answers: state.answers.map((answer) => ({ ...answer })),
    custodianRefusals: state.custodianRefusals.map((refusal) => ({ ...refusal })),
  };
}

/** The rows of the client's state: which delta belongs to which plan, and which plans are closed. */
import { z } from 'zod';
import type { DatabaseDescription } from '../durable/database-schema.js';
import { blobColumn } from '../durable/durable-database.js';
import { VerificationError } from '../errors.js';

/**
 * A claim is `held` until its plan's close record: then `opened`, for ever, or `released`. The partial index
 * is the rule "one delta, one average": of all claims of a delta, one at most is not released. The other is the same
 * rule for what earlier rounds left over: the residual of a policy is in one open round at most.
 *
 * `spent_delta` and `spent_round` are what a restored state remembers of the one before: deltas that no close record frees,
 * and up to which round of each cohort nothing is sealed.
 */
export const description: DatabaseDescription = {
  name: 'client state',
  applicationId: 0x7467_6331,
  schema: [
    `CREATE TABLE claim (
      plan BLOB NOT NULL PRIMARY KEY,
      delta BLOB NOT NULL,
      fleet TEXT NOT NULL,
      policy TEXT NOT NULL,
      cohort TEXT NOT NULL,
      round INTEGER NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('held', 'opened', 'released')),
      residual INTEGER NOT NULL CHECK (residual IN (0, 1)),
      update_fingerprint BLOB UNIQUE
    ) STRICT`,
    `CREATE UNIQUE INDEX one_claim_of_a_delta ON claim (delta) WHERE state <> 'released'`,
    `CREATE UNIQUE INDEX one_round_of_a_residual ON claim (fleet, policy) WHERE residual = 1 AND state = 'held'`,
    `CREATE TABLE close_record (
      plan BLOB NOT NULL PRIMARY KEY,
      opened_digest BLOB NOT NULL
    ) STRICT`,
    `CREATE TABLE spent_delta (
      delta BLOB NOT NULL PRIMARY KEY
    ) STRICT`,
    `CREATE TABLE spent_round (
      fleet TEXT NOT NULL,
      policy TEXT NOT NULL,
      cohort TEXT NOT NULL,
      round INTEGER NOT NULL,
      PRIMARY KEY (fleet, policy, cohort)
    ) STRICT`,
  ],
  corrupt: (detail) =>
    new VerificationError(
      'client.state-corrupt',
      `The client's record of sealed deltas cannot be trusted: ${detail}. Seal nothing that may have been ` +
        'sealed before: enrol this client again, in a new directory, and begin with new training.',
    ),
  adviceIfMissing:
    'An empty one would let deltas be sealed again that are in an average already: enrol this client again, ' +
    'in a new directory.',
};

export const claimRow = z.object({
  plan: blobColumn,
  delta: blobColumn,
  fleet: z.string(),
  policy: z.string(),
  cohort: z.string(),
  round: z.int(),
  state: z.enum(['held', 'opened', 'released']),
  residual: z.union([z.literal(0), z.literal(1)]),
  update_fingerprint: blobColumn.nullable(),
});

export const closeRow = z.object({ opened_digest: blobColumn });

export const deltaRow = z.object({ delta: blobColumn });

export const roundRow = claimRow.pick({ fleet: true, policy: true, cohort: true, round: true });

export const firstRoundRow = z.object({ round: z.int().nullable() });

export type ClaimRow = z.infer<typeof claimRow>;

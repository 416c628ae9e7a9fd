/** The round plan (`.tgp`): what every client of a round does alike. Signed by the coordinator. */
import { z } from 'zod';
import {
  bytes32Schema,
  firstRepeated,
  idSchema,
  integerSchema,
  keyEpochSchema,
  MAX_CLIENTS,
  MAX_CUSTODIANS,
  parameterSetSchema,
  positiveSchema,
  roundFields,
  tensorNameSchema,
  textSchema,
  unixMsSchema,
  versionSchema,
} from './common.js';
import type { MessageType } from './message-type.js';

const tensorSchemaFields = {
  name: tensorNameSchema,
  shape: z.array(integerSchema(1)).max(8),
  dtype: z.enum(['F32', 'F16', 'BF16']),
};

const frozenTensorSchema = z.strictObject(tensorSchemaFields);

const tensorSchema = z.strictObject({
  ...tensorSchemaFields,
  /** Bits of a value. */
  bits: integerSchema(2, 8),
  /** Coordinates that are sent, of those that the shape has. */
  kept: integerSchema(1),
  /** Width of one level. */
  scale: positiveSchema,
  /** Index in `experts`. */
  expert: integerSchema(0, 63).optional(),
});

/** A tensor that is not sent and must be the same everywhere. */
export type FrozenTensor = z.infer<typeof frozenTensorSchema>;

/** Real ones have a kilobyte; a long `rank_pattern` has more. */
export const MAX_ADAPTER_CONFIG_BYTES = 64 * 1024;

/** One tensor that is sent. A shape of [] is a scalar. */
export type PlanTensor = z.infer<typeof tensorSchema>;

const segmentSchema = z.strictObject({
  bits: integerSchema(2, 8),
  valueCount: integerSchema(1),
  fieldBits: integerSchema(2, 32),
  fold: integerSchema(1, 16),
  plaintextBits: integerSchema(2, 32),
  wireBits: integerSchema(2, 32),
  ringElements: integerSchema(1, 2 ** 32 - 1),
});

const lweSchema = z.strictObject({
  maxClients: integerSchema(2, MAX_CLIENTS),
  /** By ascending bits. */
  segments: z.array(segmentSchema).min(1).max(7),
});

/** The result of the plan arithmetic, protocol.md section 3. */
export type PlanLwe = z.infer<typeof lweSchema>;

const privacySchema = z.strictObject({
  mechanism: z.enum(['skellam', 'discrete-gaussian']),
  /** Variance of each client's integer noise, in levels squared. */
  clientVariance: integerSchema(1, 2 ** 32),
  /** Bound on the squared L2 norm of what a client sends before noise, in levels squared. */
  l2Squared: integerSchema(1),
  /** Clients of a quorum that are assumed to add no noise. */
  colluders: integerSchema(0, MAX_CLIENTS),
  delta: z.number().gt(0).lt(1),
});

/** The noise of a round. */
export type PlanPrivacy = z.infer<typeof privacySchema>;

const stalenessSchema = z
  .strictObject({
    /** Rounds after which a delta weighs 1/e; absent where it weighs as much as a new one. */
    tau: positiveSchema.optional(),
    /** Rounds that a delta may be late at most. */
    maxRounds: integerSchema(0).optional(),
  })
  .refine(({ tau, maxRounds }) => tau !== undefined || maxRounds !== undefined, {
    error: 'says nothing of how late deltas may be',
  });

/** What becomes of deltas that missed rounds. */
export type PlanStaleness = z.infer<typeof stalenessSchema>;

export const MAX_EXPERTS = 64;

const expertSchema = z.strictObject({
  name: idSchema,
  /** What a client that declares nothing has touched it with. */
  weight: z.number().gt(0).max(1),
});

const planShape = z.strictObject({
  ...roundFields,
  rosterVersion: versionSchema,
  rosterFingerprint: bytes32Schema,
  parameterSet: parameterSetSchema,
  seed: bytes32Schema,
  keyEpoch: keyEpochSchema,
  threshold: integerSchema(1, MAX_CUSTODIANS),
  custodians: integerSchema(1, MAX_CUSTODIANS),
  quorum: integerSchema(2, MAX_CLIENTS),
  lwe: lweSchema,
  loraMode: z.enum(['average', 'frozen-a']),
  /** Those that are sent. */
  tensors: z.array(tensorSchema).min(1).max(65_536),
  frozen: z
    .strictObject({ tensors: z.array(frozenTensorSchema).min(1).max(65_536), digest: bytes32Schema })
    .optional(),
  /** log2 of the block that is rotated; 0 for no rotation. */
  rotationBlockLog2: integerSchema(0, 16),
  /** Bound on the L2 norm of what a client sends, before its weight. */
  clip: positiveSchema,
  experts: z.array(expertSchema).min(1).max(MAX_EXPERTS).optional(),
  /** Training samples from which on a client counts in full; absent where they do not matter. */
  samplesForFullWeight: integerSchema(1).optional(),
  /** Absent where deltas that missed rounds are like new ones. */
  staleness: stalenessSchema.optional(),
  privacy: privacySchema.optional(),
  /** Fingerprints of the policy profiles that it was made under. */
  profiles: z.record(idSchema, bytes32Schema).optional(),
  /** Of the whole adapter: tensors that are sent, and frozen ones. */
  adapterSchema: bytes32Schema,
  /** `adapter_config.json` of the adapters, byte for byte: what a released average is loaded with. */
  adapterConfig: z
    .custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= MAX_ADAPTER_CONFIG_BYTES, {
      error: `must be a byte string of at most ${MAX_ADAPTER_CONFIG_BYTES} bytes`,
    })
    .optional(),
  baseModel: textSchema(256).optional(),
  ledgerHeads: z.array(z.strictObject({ custodian: idSchema, head: bytes32Schema })).max(MAX_CUSTODIANS),
  deadline: unixMsSchema.optional(),
});

export type PlanBody = z.infer<typeof planShape>;

/** Exact while it stays below 2^53; products beyond any count that fits need no more than to differ from it. */
function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export const planSchema = planShape.superRefine((plan, context) => {
  const refuse = (path: string[], message: string): void => {
    context.addIssue({ code: 'custom', path, message });
  };
  const { segments } = plan.lwe;
  if (segments.some(({ bits }, i) => i > 0 && bits <= (segments[i - 1] as { bits: number }).bits)) {
    refuse(['lwe', 'segments'], 'must ascend by their bits');
  }
  for (const { bits, valueCount, fieldBits, fold, plaintextBits, wireBits } of segments) {
    const at = ['lwe', 'segments'];
    const values = plan.tensors.reduce((sum, { kept, bits: own }) => sum + (own === bits ? kept : 0), 0);
    if (values !== valueCount) {
      refuse(at, `have ${valueCount} values of ${bits} bits, and the tensors hold ${values} of them`);
    }
    if (plaintextBits !== fold * fieldBits)
      refuse(at, `must have plaintextBits = fold * fieldBits = ${fold * fieldBits}`);
    if (wireBits <= plaintextBits) refuse(at, 'must have wireBits above plaintextBits');
  }
  for (const { name, bits, kept, shape, expert } of plan.tensors) {
    if (!segments.some((segment) => segment.bits === bits)) {
      refuse(['tensors'], `"${name}" has ${bits} bits, and no segment does`);
    }
    if (kept > elements(shape))
      refuse(['tensors'], `"${name}" keeps ${kept} of ${elements(shape)} coordinates`);
    if (
      plan.experts === undefined
        ? expert !== undefined
        : expert === undefined || expert >= plan.experts.length
    ) {
      refuse(['tensors'], `"${name}" belongs to no expert of the plan, or to one where there are none`);
    }
  }
  if (plan.quorum > plan.lwe.maxClients) refuse(['quorum'], `exceeds maxClients = ${plan.lwe.maxClients}`);
  if (plan.threshold > plan.custodians) refuse(['threshold'], `exceeds custodians = ${plan.custodians}`);
  const tensor = firstRepeated([...plan.tensors, ...(plan.frozen?.tensors ?? [])].map(({ name }) => name));
  if (tensor !== undefined) refuse(['tensors'], `"${tensor}" occurs twice`);
  if ((plan.loraMode === 'frozen-a') !== (plan.frozen !== undefined)) {
    refuse(['frozen'], 'is there in the LoRA mode frozen-a, and in no other');
  }
  const expert = firstRepeated((plan.experts ?? []).map(({ name }) => name));
  if (expert !== undefined) refuse(['experts'], `"${expert}" occurs twice`);
  if (plan.privacy !== undefined) {
    if (plan.privacy.colluders >= plan.quorum) {
      refuse(
        ['privacy', 'colluders'],
        `must be below the quorum of ${plan.quorum}: someone must add the noise`,
      );
    }
    // One width of a level for all: the sensitivity is a norm over all coordinates.
    if (plan.tensors.some(({ scale }) => scale !== (plan.tensors[0] as PlanTensor).scale)) {
      refuse(['tensors'], 'must have one scale where there is noise');
    }
  }
  const custodian = firstRepeated(plan.ledgerHeads.map((entry) => entry.custodian));
  if (custodian !== undefined) refuse(['ledgerHeads'], `custodian "${custodian}" occurs twice`);
});

export const planMessage: MessageType<PlanBody> = { extension: '.tgp', schema: planSchema, sections: [] };

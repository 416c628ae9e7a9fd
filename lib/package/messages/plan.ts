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

const tensorSchema = z.strictObject({
  name: tensorNameSchema,
  shape: z.array(integerSchema(1)).max(8),
  dtype: z.enum(['F32', 'F16', 'BF16']),
  clip: positiveSchema,
});

/** Real ones have a kilobyte; a long `rank_pattern` has more. */
export const MAX_ADAPTER_CONFIG_BYTES = 64 * 1024;

/** One tensor of the adapter; their order is the order of values. A shape of [] is a scalar. */
export type PlanTensor = z.infer<typeof tensorSchema>;

const lweSchema = z.strictObject({
  bits: integerSchema(2, 8),
  maxClients: integerSchema(2, MAX_CLIENTS),
  fieldBits: integerSchema(2, 32),
  fold: integerSchema(1, 16),
  plaintextBits: integerSchema(2, 32),
  wireBits: integerSchema(2, 32),
  valueCount: integerSchema(1),
  ringElements: integerSchema(1, 2 ** 32 - 1),
  z: positiveSchema,
});

/** The result of the plan arithmetic, protocol.md section 3. */
export type PlanLwe = z.infer<typeof lweSchema>;

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
  tensors: z.array(tensorSchema).min(1).max(65_536),
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

/** Exact while it stays below 2^53; products beyond any `valueCount` need no more than to differ from it. */
function countValues(tensors: readonly PlanTensor[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((product, size) => product * size, 1), 0);
}

export const planSchema = planShape.superRefine((plan, context) => {
  const refuse = (path: string[], message: string): void => {
    context.addIssue({ code: 'custom', path, message });
  };
  const { lwe } = plan;
  const values = countValues(plan.tensors);
  if (values !== lwe.valueCount) {
    refuse(['lwe', 'valueCount'], `is ${lwe.valueCount}, and the tensors hold ${values} values`);
  }
  if (lwe.plaintextBits !== lwe.fold * lwe.fieldBits) {
    refuse(['lwe', 'plaintextBits'], `must be fold * fieldBits = ${lwe.fold * lwe.fieldBits}`);
  }
  if (lwe.wireBits <= lwe.plaintextBits) refuse(['lwe', 'wireBits'], 'must exceed plaintextBits');
  if (lwe.fieldBits < lwe.bits + Math.ceil(Math.log2(lwe.maxClients))) {
    refuse(['lwe', 'fieldBits'], 'is too small for a sum of maxClients values of this many bits');
  }
  if (plan.quorum > lwe.maxClients) refuse(['quorum'], `exceeds maxClients = ${lwe.maxClients}`);
  if (plan.threshold > plan.custodians) refuse(['threshold'], `exceeds custodians = ${plan.custodians}`);
  const tensor = firstRepeated(plan.tensors.map(({ name }) => name));
  if (tensor !== undefined) refuse(['tensors'], `"${tensor}" occurs twice`);
  const custodian = firstRepeated(plan.ledgerHeads.map((entry) => entry.custodian));
  if (custodian !== undefined) refuse(['ledgerHeads'], `custodian "${custodian}" occurs twice`);
});

export const planMessage: MessageType<PlanBody> = { extension: '.tgp', schema: planSchema, sections: [] };

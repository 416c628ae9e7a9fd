/** The tensors a plan speaks of, read from adapters: the delta of a trained one, quantized. */
import { createHmac, hkdfSync } from 'node:crypto';
import { adapterSchema, adapterSchemaFingerprint } from '../adapter/adapter-schema.js';
import type { PeftAdapter } from '../adapter/peft.js';
import { type AdapterConfig, parseAdapterConfig } from '../adapter/peft-config.js';
import type { SafetensorsReader } from '../adapter/safetensors-reader.js';
import { countElements } from '../adapter/tensor-info.js';
import { RefusedError } from '../errors.js';
import type { PlanBody } from '../package/messages/plan.js';
import { quantizeUniform, uniformScale } from '../pipeline/uniform.js';

const DIGEST_LABEL = 'tensorguard-native v1 delta digest';

/** What has to be the same for a mean of factors to be a mean of adapters. */
const CONFIG_FIELDS = [
  'peft_type',
  'r',
  'lora_alpha',
  'rank_pattern',
  'alpha_pattern',
  'use_rslora',
  'use_dora',
  'fan_in_fan_out',
  'bias',
  'modules_to_save',
  'target_modules',
] as const;

function canonical(value: unknown): unknown {
  // Absent, null and empty mean the same to PEFT, and it writes lists of modules from sets, in any order.
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.length === 0 ? null : [...value].map(String).sort();
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.length === 0 ? null : entries;
  }
  return value;
}

function requireSameConfig(planned: AdapterConfig, own: AdapterConfig, what: string): void {
  for (const field of CONFIG_FIELDS) {
    const expected = JSON.stringify(canonical(planned[field]));
    const found = JSON.stringify(canonical(own[field]));
    if (expected !== found) {
      throw new RefusedError(
        'adapter.other-config',
        `${what} has ${field} = ${found}, the plan's adapters have ${expected}: their factors cannot be averaged. ` +
          "Train with the plan's configuration.",
      );
    }
  }
}

/**
 * Refuses an adapter whose tensors or configuration are not the plan's.
 *
 * @throws RefusedError `adapter.other-schema`, `adapter.other-config`
 */
export function requirePlannedAdapter(plan: PlanBody, adapter: PeftAdapter, what: string): void {
  const schema = adapterSchema(adapter.tensors);
  if (Buffer.compare(adapterSchemaFingerprint(schema), plan.adapterSchema) !== 0) {
    const planned = new Map(
      plan.tensors.map(({ name, shape, dtype }) => [name, `${dtype} [${shape.join(', ')}]`]),
    );
    const found = new Map(schema.map(({ name, shape, dtype }) => [name, `${dtype} [${shape.join(', ')}]`]));
    const names = [...new Set([...planned.keys(), ...found.keys()])];
    const first = names.find((name) => planned.get(name) !== found.get(name)) ?? names[0];
    throw new RefusedError(
      'adapter.other-schema',
      `${what} does not have the plan's tensors: "${first}" is ${found.get(first ?? '') ?? 'absent'}, planned is ` +
        `${planned.get(first ?? '') ?? 'no such tensor'}. Seal the adapter that the round was planned for.`,
    );
  }
  if (plan.adapterConfig !== undefined) {
    requireSameConfig(
      parseAdapterConfig(plan.adapterConfig, "the plan's adapter_config.json"),
      adapter.config,
      what,
    );
  }
}

export interface QuantizedDelta {
  /** In the order of the plan's tensors. */
  readonly values: Int32Array;
  /** Values that were clamped to their tensor's clip bound. */
  readonly saturatedValues: number;
  /** Keyed digest of the delta itself, before quantization: names it in the client's own records only. */
  readonly digest: Uint8Array;
}

function largestTensor(plan: PlanBody): number {
  return Math.max(...plan.tensors.map(({ name, shape }) => countElements(name, shape)));
}

/**
 * Reads the delta, adapter minus base, tensor by tensor, and quantizes it with the plan's public scales.
 *
 * @param base absent where the adapter itself is the delta
 * @param prfKey the client's, which keys the digest
 */
export async function quantizeDelta(
  plan: PlanBody,
  adapter: SafetensorsReader,
  base: SafetensorsReader | undefined,
  prfKey: Uint8Array,
): Promise<QuantizedDelta> {
  const key = new Uint8Array(hkdfSync('sha256', prfKey, '', DIGEST_LABEL, 32));
  const digest = createHmac('sha256', key).update(plan.adapterSchema);
  key.fill(0);
  const values = new Int32Array(plan.lwe.valueCount);
  const capacity = largestTensor(plan);
  const trained = new Float32Array(capacity);
  const start = base === undefined ? undefined : new Float32Array(capacity);
  let offset = 0;
  let saturatedValues = 0;
  for (const tensor of plan.tensors) {
    const count = countElements(tensor.name, tensor.shape);
    const delta = trained.subarray(0, count);
    await adapter.readTensor(tensor.name, delta);
    if (base !== undefined && start !== undefined) {
      const from = start.subarray(0, count);
      await base.readTensor(tensor.name, from);
      for (let i = 0; i < count; i += 1) delta[i] = (delta[i] as number) - (from[i] as number);
    }
    digest.update(new Uint8Array(delta.buffer, delta.byteOffset, delta.byteLength));
    const scale = uniformScale(tensor.clip, plan.lwe.bits);
    saturatedValues += quantizeUniform(delta, scale, plan.lwe.bits, values, offset).saturated;
    offset += count;
  }
  trained.fill(0);
  return { values, saturatedValues, digest: new Uint8Array(digest.digest()) };
}

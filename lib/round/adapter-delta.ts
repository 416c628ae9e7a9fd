/** The tensors a plan speaks of, read from adapters: the delta of a trained one. */
import { createHmac, hkdfSync } from 'node:crypto';
import { adapterSchema, adapterSchemaFingerprint } from '../adapter/adapter-schema.js';
import { firstNonFinite } from '../adapter/finite-values.js';
import { frozenDigest } from '../adapter/lora-modes.js';
import { loadPeftAdapter, type PeftAdapter } from '../adapter/peft.js';
import { type AdapterConfig, parseAdapterConfig } from '../adapter/peft-config.js';
import { FormatError, RefusedError } from '../errors.js';
import type { PlanBody } from '../package/messages/plan.js';

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

/** All tensors of the plan's adapters, those that are sent and those that are not. */
function plannedTensors(plan: PlanBody): Pick<PlanBody['tensors'][number], 'name' | 'shape' | 'dtype'>[] {
  return [...plan.tensors, ...(plan.frozen?.tensors ?? [])];
}

/**
 * Refuses an adapter whose tensors or configuration are not the plan's, or whose frozen tensors have other values.
 *
 * @throws RefusedError `adapter.other-schema`, `adapter.other-config`, `adapter.other-frozen-values`
 */
export async function requirePlannedAdapter(
  plan: PlanBody,
  adapter: PeftAdapter,
  what: string,
  peftTypes?: readonly string[],
): Promise<void> {
  const schema = adapterSchema(adapter.tensors);
  const own = adapterSchemaFingerprint(schema);
  // Its list too, which the fingerprint beside it does not bind: found here, nothing is claimed or spent for it.
  const listed = adapterSchemaFingerprint(plannedTensors(plan));
  if (Buffer.compare(own, plan.adapterSchema) !== 0 || Buffer.compare(own, listed) !== 0) {
    const planned = new Map(
      plannedTensors(plan).map(({ name, shape, dtype }) => [name, `${dtype} [${shape.join(', ')}]`]),
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
      parseAdapterConfig(plan.adapterConfig, "the plan's adapter_config.json", peftTypes),
      adapter.config,
      what,
    );
  }
  if (plan.frozen === undefined) return;
  const digest = await frozenDigest(adapter.tensors, plan.frozen.tensors);
  if (Buffer.compare(digest, plan.frozen.digest) !== 0) {
    throw new RefusedError(
      'adapter.other-frozen-values',
      `${what} has other values in the tensors that the round keeps frozen (LoRA's A): an average of B alone is then no ` +
        "average of adapters. Train from the round's base adapter, with A frozen.",
    );
  }
}

function requireFiniteDelta(name: string, delta: Float32Array): void {
  const at = firstNonFinite(delta);
  if (at < 0) return;
  throw new FormatError(
    'pipeline.non-finite',
    `Coordinate ${at} of "${name}" is ${delta[at]}, less the base's; only finite values can be averaged. Training has diverged.`,
  );
}

/** A trained adapter and what training started from, open for reading. */
export class AdapterDelta {
  private constructor(
    readonly adapter: PeftAdapter,
    private readonly base: PeftAdapter | undefined,
  ) {}

  /**
   * Opens both and holds them against the plan.
   *
   * @param base absent where the adapter itself is the delta
   * @throws what `loadPeftAdapter` and {@link requirePlannedAdapter} do
   */
  static async open(
    plan: PlanBody,
    adapter: string,
    base: string | undefined,
    peftTypes?: readonly string[],
  ): Promise<AdapterDelta> {
    const options = peftTypes === undefined ? {} : { peftTypes };
    const trained = await loadPeftAdapter(adapter, options);
    let start: PeftAdapter | undefined;
    try {
      await requirePlannedAdapter(plan, trained, adapter, peftTypes);
      if (base !== undefined) {
        start = await loadPeftAdapter(base, options);
        await requirePlannedAdapter(plan, start, base, peftTypes);
      }
      return new AdapterDelta(trained, start);
    } catch (error) {
      await trained.tensors.close();
      await start?.tensors.close();
      throw error;
    }
  }

  /** Reads a tensor's delta into `out`, which has exactly its size. */
  async read(name: string, out: Float32Array): Promise<void> {
    await this.adapter.tensors.readTensor(name, out);
    if (this.base === undefined) return;
    const start = new Float32Array(out.length);
    await this.base.tensors.readTensor(name, start);
    for (let i = 0; i < out.length; i += 1) out[i] = (out[i] as number) - (start[i] as number);
  }

  /**
   * Keyed digest of the whole delta, 32 bytes: names it in the client's own records only. What a plan sends of it does not
   * matter; it is the same delta.
   *
   * @param prfKey the client's, which keys the digest
   * @throws FormatError `safetensors.non-finite` for what is no finite number, `pipeline.non-finite` for a difference
   */
  async digest(plan: PlanBody, prfKey: Uint8Array): Promise<Uint8Array> {
    const key = new Uint8Array(hkdfSync('sha256', prfKey, '', DIGEST_LABEL, 32));
    const digest = createHmac('sha256', key).update(plan.adapterSchema);
    key.fill(0);
    for (const name of this.adapter.tensors.names) {
      const delta = new Float32Array(this.adapter.tensors.info(name).elementCount);
      await this.read(name, delta);
      // Before anything is claimed: a run that diverged can be repaired and sealed under the same plan.
      requireFiniteDelta(name, delta);
      digest.update(new Uint8Array(delta.buffer, delta.byteOffset, delta.byteLength));
      delta.fill(0);
    }
    return new Uint8Array(digest.digest());
  }

  async close(): Promise<void> {
    await this.adapter.tensors.close();
    await this.base?.tensors.close();
  }
}

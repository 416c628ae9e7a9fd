/** The client's part: an adapter becomes one signed, encrypted update. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { loadPeftAdapter } from '../adapter/peft.js';
import { countElements, DTYPE_SIZE_BYTES } from '../adapter/tensor-info.js';
import { classifyTensor } from '../adapter/tensor-roles.js';
import type { ClientState, StoredUpdate } from '../custody/client-state.js';
import { requireClient, requireOwnKey } from '../custody/roster.js';
import { sealMessage } from '../custody/seal.js';
import type { SecretBytes } from '../custody/secret-bytes.js';
import { sharesSectionBytes } from '../custody/sharing.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { RefusedError } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import { UPDATE_SCHEMA_VERSION, type UpdateBody } from '../package/messages/update.js';
import type { SigningKey } from '../package/signing-key.js';
import { encodeContainer, writeEncodedContainer } from '../package/writer.js';
import { type QuantizedDelta, quantizeDelta, requirePlannedAdapter } from './adapter-delta.js';

export interface ClientIdentity {
  readonly id: string;
  readonly signing: SigningKey;
  readonly prf: SecretBytes;
  readonly state: ClientState;
}

export interface SealOptions {
  readonly client: ClientIdentity;
  readonly plan: TrustedPlan;
  /** The trained adapter's directory. */
  readonly adapter: string;
  /** The adapter that training started from; absent where `adapter` itself is the delta. */
  readonly base?: string;
  /** Milliseconds since 1970; now unless told. */
  readonly now?: number;
}

export interface SealReport {
  readonly values: number;
  readonly saturatedValues: number;
  readonly originalBytes: number;
  /** Ciphertext and sealed shares; the header comes on top. */
  readonly sealedBytes: number;
}

export interface SealedUpdateFile extends SealReport, StoredUpdate {
  /** Whether this delta had been sealed under this plan before: the same file then, byte for byte. */
  readonly replayed: boolean;
}

interface PreparedDelta {
  readonly quantized: QuantizedDelta;
  readonly modules: string[];
  readonly report: SealReport;
  readonly compressMs: number;
}

async function prepare(options: SealOptions): Promise<PreparedDelta> {
  const { plan, client } = options;
  const listed = requireClient(plan.roster, client.id);
  requireOwnKey(listed.keys, client.signing.publicKeys, `client "${client.id}"`);
  const started = performance.now();
  const adapter = await loadPeftAdapter(options.adapter);
  try {
    requirePlannedAdapter(plan.body, adapter, options.adapter);
    const base = options.base === undefined ? undefined : await loadPeftAdapter(options.base);
    try {
      if (base !== undefined) requirePlannedAdapter(plan.body, base, options.base as string);
      const quantized = await client.prf.use((prfKey) =>
        quantizeDelta(plan.body, adapter.tensors, base?.tensors, prfKey),
      );
      const modules = [...new Set(adapter.tensors.names.map((name) => classifyTensor(name).module))].sort();
      const originalBytes = plan.body.tensors.reduce(
        (sum, { name, shape, dtype }) => sum + countElements(name, shape) * DTYPE_SIZE_BYTES[dtype],
        0,
      );
      return {
        quantized,
        modules,
        report: {
          values: quantized.values.length,
          saturatedValues: quantized.saturatedValues,
          originalBytes,
          sealedBytes: plan.arithmetic.ciphertextBytes + sharesSectionBytes(plan.body),
        },
        compressMs: performance.now() - started,
      };
    } finally {
      await base?.tensors.close();
    }
  } finally {
    await adapter.tensors.close();
  }
}

/** @throws RefusedError `plan.deadline-passed` */
function requireInTime({ plan, now }: SealOptions): void {
  const { deadline } = plan.body;
  if (deadline !== undefined && (now ?? Date.now()) > deadline) {
    throw new RefusedError(
      'plan.deadline-passed',
      `The round's deadline was ${new Date(deadline).toISOString()}. Seal for the next round.`,
    );
  }
}

/** What sealing would do, without doing it: nothing is claimed, encrypted or written. */
export async function dryRunSeal(options: SealOptions): Promise<SealReport> {
  requireInTime(options);
  const { quantized, report } = await prepare(options);
  quantized.values.fill(0);
  return report;
}

/**
 * Seals an adapter's delta under a plan. The same delta under the same plan gives the stored file; a delta that was
 * sealed for another round is refused unless a close record released it.
 *
 * @throws RefusedError `client.*`, `adapter.*`, `plan.*`, `roster.*`
 */
export async function sealUpdate(options: SealOptions): Promise<SealedUpdateFile> {
  const { client, plan } = options;
  const { quantized, modules, report, compressMs } = await prepare(options);
  try {
    const { fleet, policy, cohort, round } = plan.body;
    const earlier = await client.state.storedUpdate(plan.fingerprint, quantized.digest);
    if (earlier !== undefined) return { ...report, ...earlier, replayed: true };
    requireInTime(options);
    const claim = await client.state.claim({
      fleet,
      policy,
      cohort,
      round,
      deltaDigest: quantized.digest,
      plan: plan.fingerprint,
    });
    if (claim !== 'new') return { ...report, ...claim, replayed: true };
    const started = performance.now();
    const sealed = await client.prf.use((prfKey) =>
      sealMessage(plan, client.id, client.signing.keyId, prfKey, quantized.values),
    );
    const body: UpdateBody = {
      schema: UPDATE_SCHEMA_VERSION,
      fleet,
      policy,
      cohort,
      round,
      plan: plan.fingerprint,
      client: client.id,
      parameterSet: plan.body.parameterSet,
      keyEpoch: plan.body.keyEpoch,
      adapterSchema: plan.body.adapterSchema,
      ...(plan.body.baseModel !== undefined && { baseModel: plan.body.baseModel }),
      targets: { modules, adapterIds: [] },
      compression: {
        originalBytes: report.originalBytes,
        sealedBytes: report.sealedBytes,
        bits: plan.body.lwe.bits,
      },
      timingsMs: { compress: compressMs, encrypt: performance.now() - started },
    };
    const container = await encodeContainer({
      kind: 'update',
      body,
      sections: [
        { name: 'ciphertext', data: sealed.ciphertext },
        { name: 'shares', data: sealed.shares },
      ],
      signer: client.signing,
    });
    const update = container.envelope.fingerprint;
    await writeEncodedContainer(client.state.sealedPath(update), container, { mode: 0o600 });
    const stored = await client.state.recordSealed({
      deltaDigest: quantized.digest,
      plan: plan.fingerprint,
      update,
    });
    return { ...report, ...stored, replayed: false };
  } finally {
    quantized.values.fill(0);
  }
}

/** Copies a sealed update to where it is wanted, whole or not at all. */
export async function copyUpdate(stored: string, out: string): Promise<number> {
  await writeFileAtomically(out, async (file) => {
    for await (const piece of createReadStream(stored, { highWaterMark: 1 << 20 })) {
      await file.writeFile(piece as Uint8Array);
    }
  });
  return (await stat(out)).size;
}

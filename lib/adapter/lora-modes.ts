/**
 * Which tensors of an adapter a round sends, and proof that all clients froze the same others.
 *
 * The mean of A times the mean of B is not the mean of BA. `average` averages both factors all the same;
 * `frozen-a` (FFA-LoRA, Sun et al. 2024, arXiv 2403.12313) trains and sends only B, which is exact and half the
 * size, if A is the same everywhere.
 */
import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import { FormatError, RefusedError } from '../errors.js';
import { adapterSchemaFingerprint, type TensorSchema } from './adapter-schema.js';
import { quoteName } from './json-cursor.js';
import type { SafetensorsReader } from './safetensors-reader.js';
import { compareBytewise, countElements } from './tensor-info.js';
import { classifyTensor, type TensorKind } from './tensor-roles.js';

export type LoraMode = 'average' | 'frozen-a';

export interface TensorSelectionRules {
  readonly mode: LoraMode;
  /** Whether the envelope lists a module whose tensors are sent in full: a head, an embedding, a bias. */
  readonly fullLayers: (module: string) => boolean;
  /** Whether the envelope lets LoRA train a module. Full layers are a matter of `fullLayers` alone. */
  readonly allowedModules: (module: string) => boolean;
}

export interface TensorSelection {
  /** In the order of the schema. */
  readonly sent: TensorSchema[];
  /** The A factors of a `frozen-a` round, in the order of the schema; none in an `average` round. */
  readonly frozen: TensorSchema[];
}

interface ClassifiedTensor {
  readonly tensor: TensorSchema;
  readonly kind: TensorKind;
  readonly module: string;
}

const FROZEN_LABEL = Buffer.from('tensorguard-native v1 frozen tensors\0', 'utf8');
const BIG_ENDIAN_HOST = endianness() === 'BE';

/**
 * Divides the tensors of an adapter into those that a round sends and those that it keeps fixed.
 *
 * Both factors of each module must be there. The exception is `frozen-a` on an adapter without a single A: it
 * is the bare average of such a round, or a delta of which the zero part was left out. One A among others
 * that is missing is refused: {@link frozenDigest} would prove nothing about it.
 *
 * @throws RefusedError `adapter.full-layer-not-listed`, `adapter.module-not-allowed`,
 *   `adapter.factor-missing`, `adapter.nothing-to-send`
 */
export function selectTensors(schema: readonly TensorSchema[], rules: TensorSelectionRules): TensorSelection {
  const tensors = schema.map((tensor) => ({ tensor, ...classifyTensor(tensor.name) }));
  for (const tensor of tensors) checkListed(tensor, rules);
  checkFactors(tensors, rules.mode);
  const isFrozen = ({ kind }: ClassifiedTensor) => rules.mode === 'frozen-a' && kind === 'lora-a';
  const sent = tensors.filter((tensor) => !isFrozen(tensor)).map(({ tensor }) => tensor);
  if (sent.length === 0) {
    throw new RefusedError('adapter.nothing-to-send', 'The adapter has no tensor that the round would send.');
  }
  return { sent, frozen: tensors.filter(isFrozen).map(({ tensor }) => tensor) };
}

function checkListed({ tensor, kind, module }: ClassifiedTensor, rules: TensorSelectionRules): void {
  if (kind === 'full' && !rules.fullLayers(module)) {
    throw new RefusedError(
      'adapter.full-layer-not-listed',
      `Tensor ${quoteName(tensor.name)} is no LoRA factor but a full layer. Add ${quoteName(module)} to the envelope's fullLayers to send it, or train without it.`,
    );
  }
  if (kind !== 'full' && !rules.allowedModules(module)) {
    throw new RefusedError(
      'adapter.module-not-allowed',
      `Tensor ${quoteName(tensor.name)} adapts ${quoteName(module)}, which the envelope does not let a client train. Add the module to the envelope, or take it out of target_modules.`,
    );
  }
}

function checkFactors(tensors: readonly ClassifiedTensor[], mode: LoraMode): void {
  const modulesOf = (wanted: TensorKind) =>
    new Set(tensors.filter(({ kind }) => kind === wanted).map(({ module }) => module));
  const withA = modulesOf('lora-a');
  const withB = modulesOf('lora-b');
  for (const module of withA) {
    if (!withB.has(module)) {
      throw new RefusedError(
        'adapter.factor-missing',
        `Module ${quoteName(module)} has a factor A (lora_A) and no factor B, so that it adapts nothing. Save the adapter with PEFT's save_pretrained.`,
      );
    }
  }
  if (mode === 'frozen-a' && withA.size === 0) return;
  for (const module of withB) {
    if (!withA.has(module)) {
      throw new RefusedError(
        'adapter.factor-missing',
        mode === 'average'
          ? `Module ${quoteName(module)} has a factor B (lora_B) and no factor A: an average of B means something only where A is the same everywhere. Plan a frozen-a round, or send the whole adapter.`
          : `Module ${quoteName(module)} has no factor A, and other modules have one: nothing shows that all clients froze the same. Send an adapter with every A, or with none.`,
      );
    }
  }
}

/**
 * What frozen tensors hold, 32 bytes: SHA-256 over
 *
 *     "tensorguard-native v1 frozen tensors" || 0x00 || adapter schema fingerprint of the frozen tensors
 *     (names, shapes, dtypes; 32 bytes) || their values as float32, little-endian, bytewise by name
 *
 * The fingerprint fixes how many values follow. The order of `frozen` does not matter, bits do: 0 and -0
 * differ. One tensor at a time is in memory.
 *
 * @throws FormatError `adapter.frozen-mismatch` where the file's tensor is not as `frozen` says, and as
 *   {@link SafetensorsReader.readTensor}
 */
export async function frozenDigest(
  reader: Pick<SafetensorsReader, 'info' | 'readTensor'>,
  frozen: readonly TensorSchema[],
): Promise<Uint8Array> {
  const hash = createHash('sha256').update(FROZEN_LABEL).update(adapterSchemaFingerprint(frozen));
  const sorted = [...frozen].sort((a, b) => compareBytewise(a.name, b.name));
  let largest = 0;
  for (const tensor of sorted) {
    checkAsExpected(tensor, reader);
    largest = Math.max(largest, countElements(tensor.name, tensor.shape));
  }
  const buffer = new Float32Array(largest);
  for (const { name, shape } of sorted) {
    const values = buffer.subarray(0, countElements(name, shape));
    await reader.readTensor(name, values);
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    hash.update(BIG_ENDIAN_HOST ? bytes.swap32() : bytes);
  }
  return hash.digest();
}

function checkAsExpected(expected: TensorSchema, reader: Pick<SafetensorsReader, 'info'>): void {
  const { dtype, shape } = reader.info(expected.name);
  const same =
    dtype === expected.dtype &&
    shape.length === expected.shape.length &&
    shape.every((dimension, axis) => dimension === expected.shape[axis]);
  if (same) return;
  throw new FormatError(
    'adapter.frozen-mismatch',
    `Tensor ${quoteName(expected.name)} is ${dtype} [${shape.join(', ')}] in the adapter, and frozen as ${expected.dtype} [${expected.shape.join(', ')}].`,
  );
}

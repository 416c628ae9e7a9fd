/** The adapters whose compression is measured: as deltas, tensor by tensor. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ADAPTER_TENSORS_FILE, loadPeftAdapter } from '../../lib/adapter/peft.js';
import { fillNormal } from '../../lib/adapter/seeded-normal.js';
import { smolVlaShapes, type TensorShape } from '../../lib/adapter/smolvla.js';
import { countElements } from '../../lib/adapter/tensor-info.js';

export interface SubjectTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Sum of squares. */
  readonly energy: number;
  /** Largest magnitude. */
  readonly largest: number;
}

export interface Subject {
  readonly name: string;
  /** Where the values come from, for people. */
  readonly origin: string;
  readonly tensors: readonly SubjectTensor[];
}

/** What trained factors are like; that of `npm run bench:round` has it too. */
const STANDARD_DEVIATION = 0.02;

function layers(count: number, shapesOf: (layer: number) => readonly TensorShape[]): TensorShape[] {
  return Array.from({ length: count }, (_, layer) => shapesOf(layer)).flat();
}

/** Rank 8 on the fused attention projection of GPT-2, with a classifier of 6 classes: 299,520 parameters. */
function gpt2Shapes(): TensorShape[] {
  return [
    { name: 'base_model.model.score.weight', shape: [6, 768] },
    ...layers(12, (layer) => {
      const module = `base_model.model.transformer.h.${layer}.attn.c_attn`;
      return [
        { name: `${module}.lora_A.weight`, shape: [8, 768] },
        { name: `${module}.lora_B.weight`, shape: [2304, 8] },
      ];
    }),
  ];
}

/** Rank 8 on queries and values of DistilBERT, with its two full classifier layers: 739,586 parameters. */
function distilbertShapes(): TensorShape[] {
  const attention = 'base_model.model.distilbert.transformer.layer';
  return [
    { name: 'base_model.model.classifier.bias', shape: [2] },
    { name: 'base_model.model.classifier.weight', shape: [2, 768] },
    ...layers(6, (layer) =>
      ['q_lin', 'v_lin'].flatMap((linear) => [
        { name: `${attention}.${layer}.attention.${linear}.lora_A.weight`, shape: [8, 768] },
        { name: `${attention}.${layer}.attention.${linear}.lora_B.weight`, shape: [768, 8] },
      ]),
    ),
    { name: 'base_model.model.pre_classifier.bias', shape: [768] },
    { name: 'base_model.model.pre_classifier.weight', shape: [768, 768] },
  ];
}

export function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

export function subjectTensor(name: string, shape: readonly number[], values: Float32Array): SubjectTensor {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return { name, shape, values, energy: sumOfSquares(values), largest };
}

export const REAL_SUBJECTS: readonly { readonly name: string; readonly shapes: () => TensorShape[] }[] = [
  { name: 'gpt2-lora-r8', shapes: gpt2Shapes },
  { name: 'distilbert-imdb-lora-r8', shapes: distilbertShapes },
];

/** Independent normal values of one size in all tensors. */
export function generatedSubject(
  name: string,
  shapes: readonly TensorShape[],
  seed: string,
  origin = 'generated: normal values of one size in all tensors',
): Subject {
  return {
    name,
    origin,
    tensors: shapes.map((tensor) => {
      const values = new Float32Array(countElements(tensor.name, tensor.shape));
      fillNormal(values, STANDARD_DEVIATION, seed, tensor.name);
      return subjectTensor(tensor.name, tensor.shape, values);
    }),
  };
}

async function readSubject(name: string, directory: string): Promise<Subject> {
  const { tensors } = await loadPeftAdapter(directory);
  try {
    const read: SubjectTensor[] = [];
    for (const tensor of tensors.names) {
      const { shape, elementCount } = tensors.info(tensor);
      const values = new Float32Array(elementCount);
      await tensors.readTensor(tensor, values);
      read.push(subjectTensor(tensor, shape, values));
    }
    return { name, origin: 'a published adapter, as it was trained', tensors: read };
  } finally {
    await tensors.close();
  }
}

/**
 * The published adapters in `directory`, or what has their shapes where they are absent, and that of `npm run bench:round`.
 *
 * @throws what `loadPeftAdapter` throws
 */
export async function loadSubjects(directory: string, seed: string): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const { name, shapes } of REAL_SUBJECTS) {
    const path = join(directory, name);
    subjects.push(
      existsSync(join(path, ADAPTER_TENSORS_FILE))
        ? await readSubject(name, path)
        : generatedSubject(
            name,
            shapes(),
            seed,
            `generated with the shapes of ${name}, which is absent: normal values of one size in all tensors`,
          ),
    );
  }
  subjects.push(
    generatedSubject(
      'SmolVLA, synthetic',
      smolVlaShapes(),
      'demo base',
      "that of `npm run bench:round`: the shapes of SmolVLA's default LoRA, normal values of one size in all tensors",
    ),
  );
  return subjects;
}

export function parameterCount({ tensors }: Pick<Subject, 'tensors'>): number {
  return tensors.reduce((sum, { values }) => sum + values.length, 0);
}

/** Standard deviation over the tensors of the logarithm of their mean square: how unlike the tensors' sizes are. */
export function densitySpread({ tensors }: Pick<Subject, 'tensors'>): number {
  const logs = tensors.map(({ energy, values }) => Math.log(energy / values.length));
  const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
  return Math.sqrt(logs.reduce((sum, x) => sum + (x - mean) ** 2, 0) / logs.length);
}

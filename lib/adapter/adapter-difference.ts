/** How one adapter differs from another, tensor by tensor: two tensors are in memory at a time, never two adapters. */
import type { SafetensorsReader } from './safetensors-reader.js';
import type { TensorInfo } from './tensor-info.js';
import { classifyTensor } from './tensor-roles.js';

/** Euclidean, over values widened to float64. */
export interface DifferenceNorms {
  readonly normA: number;
  readonly normB: number;
  readonly normDifference: number;
  /** The difference's norm over A's; absent where A is zero and B is not. */
  readonly relative?: number;
  /** Absent where either is zero: that has no direction. */
  readonly cosine?: number;
}

export interface TensorDifference extends DifferenceNorms {
  readonly name: string;
  /** As the base model names it. */
  readonly module: string;
  readonly elements: number;
}

export interface ModuleDifference extends DifferenceNorms {
  readonly module: string;
  readonly tensors: number;
}

export interface ShapeChange {
  readonly name: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
}

export interface AdapterDifference {
  readonly onlyInA: readonly string[];
  readonly onlyInB: readonly string[];
  /** Not compared further. */
  readonly shapeChanges: readonly ShapeChange[];
  /** The largest relative change first. */
  readonly tensors: readonly TensorDifference[];
  readonly modules: readonly ModuleDifference[];
  /** Over the tensors that both have, in one shape. */
  readonly total: DifferenceNorms;
}

type Readable = Pick<SafetensorsReader, 'names' | 'info' | 'readTensor'>;

/** Sums over elements. Squares of float32 values, and the product of two such sums, stay within float64: none becomes 0 or infinite. */
class Sums {
  #a = 0;
  #b = 0;
  #product = 0;
  #difference = 0;

  addValues(left: Float32Array, right: Float32Array): void {
    let [a, b, product, difference] = [0, 0, 0, 0];
    for (let i = 0; i < left.length; i += 1) {
      const x = left[i] as number;
      const y = right[i] as number;
      a += x * x;
      b += y * y;
      product += x * y;
      difference += (x - y) * (x - y);
    }
    this.#a += a;
    this.#b += b;
    this.#product += product;
    this.#difference += difference;
  }

  add(other: Sums): void {
    this.#a += other.#a;
    this.#b += other.#b;
    this.#product += other.#product;
    this.#difference += other.#difference;
  }

  norms(): DifferenceNorms {
    const [normA, normB, normDifference] = [this.#a, this.#b, this.#difference].map(Math.sqrt) as [
      number,
      number,
      number,
    ];
    const relative = normDifference === 0 ? 0 : normA > 0 ? normDifference / normA : undefined;
    const cosine = this.#product / Math.sqrt(this.#a * this.#b);
    return {
      ...{ normA, normB, normDifference },
      ...(relative !== undefined && { relative }),
      // Rounding may put parallel vectors beyond 1.
      ...(normA > 0 && normB > 0 && { cosine: Math.max(-1, Math.min(1, cosine)) }),
    };
  }
}

/** What grew out of nothing has changed more than any multiple says. */
function byRelativeChange(left: DifferenceNorms, right: DifferenceNorms): number {
  const [of, than] = [left.relative ?? Number.POSITIVE_INFINITY, right.relative ?? Number.POSITIVE_INFINITY];
  return of === than ? right.normDifference - left.normDifference : than - of;
}

function isSameShape(left: TensorInfo, right: TensorInfo): boolean {
  return left.shape.length === right.shape.length && left.shape.every((size, i) => size === right.shape[i]);
}

/** @throws FormatError `safetensors.non-finite`, `safetensors.file-changed` */
export async function compareAdapters(a: Readable, b: Readable): Promise<AdapterDifference> {
  const inA = new Set(a.names);
  const inB = new Set(b.names);
  const shapeChanges: ShapeChange[] = [];
  const tensors: TensorDifference[] = [];
  const modules = new Map<string, { sums: Sums; tensors: number }>();
  const total = new Sums();
  for (const name of a.names) {
    if (!inB.has(name)) continue;
    const [left, right] = [a.info(name), b.info(name)];
    if (!isSameShape(left, right)) {
      shapeChanges.push({ name, a: left.shape, b: right.shape });
      continue;
    }
    const elements = left.elementCount;
    const values = [new Float32Array(elements), new Float32Array(elements)] as const;
    await a.readTensor(name, values[0]);
    await b.readTensor(name, values[1]);
    const sums = new Sums();
    sums.addValues(...values);
    total.add(sums);
    const { module } = classifyTensor(name);
    tensors.push({ name, module, elements, ...sums.norms() });
    const ofModule = modules.get(module) ?? { sums: new Sums(), tensors: 0 };
    ofModule.sums.add(sums);
    ofModule.tensors += 1;
    modules.set(module, ofModule);
  }
  return {
    onlyInA: a.names.filter((name) => !inB.has(name)),
    onlyInB: b.names.filter((name) => !inA.has(name)),
    shapeChanges,
    tensors: tensors.sort(byRelativeChange),
    modules: [...modules]
      .map(([module, { sums, tensors: count }]) => ({ module, tensors: count, ...sums.norms() }))
      .sort(byRelativeChange),
    total: total.norms(),
  };
}

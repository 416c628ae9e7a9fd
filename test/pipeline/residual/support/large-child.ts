/** Carries a large residual through every call, and says by how much the process grew. */
import { ResidualStore } from '../../../../lib/pipeline/residual/residual-store.js';
import { bytes32 } from '../../../custody/support/bytes.js';
import { shapeOf } from './fixtures.js';

export interface LargeChildArgument {
  readonly root: string;
  readonly valueCount: number;
}

export interface LargeChildMessage {
  readonly grownBytes: number;
  readonly norm: number | undefined;
  readonly lastValues: readonly number[];
}

const { root, valueCount } = JSON.parse(process.argv[2] ?? '') as LargeChildArgument;
const store = await ResidualStore.open(root);
const shape = shapeOf(valueCount);

async function round(update: string, value: number): Promise<void> {
  const tensor = new Float32Array(1_000_003).fill(value);
  await store.writeChange(bytes32(update), shape, async (sink) => {
    for (let done = 0; done < valueCount; done += tensor.length) {
      await sink.append(tensor.subarray(0, Math.min(tensor.length, valueCount - done)));
    }
  });
  await store.commit(bytes32(update));
}

const before = process.resourceUsage().maxRSS;
await round('first', 1.5);
await round('second', 0.5);
const norm = await store.norm(shape.policy, shape.schemaKey);
const reader = await store.openCommitted(shape.policy, shape.schemaKey, valueCount);
const last = new Float32Array(3);
await reader?.read(valueCount - 3, last);
await reader?.close();
const grownBytes = (process.resourceUsage().maxRSS - before) * 1024;
const message: LargeChildMessage = { grownBytes, norm, lastValues: [...last] };
process.send?.(message, () => process.disconnect());

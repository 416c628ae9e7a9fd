/** Uses a store in a process of its own, and logs each step when it has returned. */
import { appendFileSync } from 'node:fs';
import { ResidualStore } from '../../../../lib/pipeline/residual/residual-store.js';
import { bytes32 } from '../../../custody/support/bytes.js';
import { shapeOf } from './fixtures.js';
import { arm, disarm } from './write-point.js';

export type ChildStep =
  | { readonly kind: 'open' }
  | { readonly kind: 'write'; readonly update: string; readonly value: number; readonly count: number }
  | { readonly kind: 'commit' | 'discard'; readonly update: string };

export interface ResidualChildArgument {
  readonly root: string;
  readonly steps: readonly ChildStep[];
  readonly logPath: string;
}

const { root, steps, logPath } = JSON.parse(process.argv[2] ?? '') as ResidualChildArgument;

arm('kill', Number(process.env['TENSORGUARD_TEST_KILL_AT'] ?? 0));
let store = await ResidualStore.open(root);
for (const step of steps) {
  if (step.kind === 'open') store = await ResidualStore.open(root);
  else if (step.kind === 'write') {
    const staged = await store.stageChange(shapeOf(step.count), (sink) =>
      sink.append(new Float32Array(step.count).fill(step.value)),
    );
    await staged.publish(bytes32(step.update));
  } else await store[step.kind](bytes32(step.update));
  if (step.kind !== 'open') appendFileSync(logPath, `${step.kind} ${step.update}\n`);
}
disarm();
process.disconnect();

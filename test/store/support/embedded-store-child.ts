/** Uses an embedded store in a process of its own, and notes what it was told is done. */
import { appendFileSync } from 'node:fs';
import { openEmbeddedStore } from '../../../lib/store/embedded/embedded-store.js';
import { countWrites } from '../../custody/support/kill-point.js';
import { present, sha256, text } from './values.js';

export interface EmbeddedStoreChildArgument {
  readonly directory: string;
  /** One line for each operation that has returned. */
  readonly notesPath: string;
  /** Count the writes of opening the store, rather than those of using it. */
  readonly opening: boolean;
  /** Three blobs, as text. */
  readonly contents: readonly string[];
}

const argument = JSON.parse(process.argv[2] ?? '') as EmbeddedStoreChildArgument;

async function use({ directory, notesPath, opening, contents }: EmbeddedStoreChildArgument): Promise<void> {
  const note = (name: string): void => appendFileSync(notesPath, `${name}\n`);
  countWrites(opening);
  const { state, blobs, queue } = await openEmbeddedStore(directory);
  countWrites(false);
  if (opening) return;
  countWrites(true);
  const created = present(await state.create('key', text('created')));
  note('created');
  await state.update('key', text('updated'), created);
  note('updated');
  const [first, ...rest] = contents.map(text).map((bytes) => ({ digest: sha256(bytes), bytes }));
  await blobs.put(present(first).digest, present(first).bytes);
  note('put');
  await blobs.putMany([present(first), ...rest]);
  note('putMany');
  await blobs.remove(present(first).digest);
  note('removed');
  await queue.push('sum', 'task', text('payload'));
  note('pushed');
  const task = present(await queue.take('sum', { leaseMs: 1_000 }));
  note('taken');
  await task.done();
  note('done');
}

await use(argument);
process.disconnect();

/** One way to open whichever store is configured. */
import { openEmbeddedStore } from './embedded/embedded-store.js';
import type { JetStreamOptions } from './jetstream/config.js';
import { openJetStreamStore } from './jetstream/jetstream-store.js';
import type { Store } from './store.js';

export type StoreOptions =
  | { readonly kind: 'embedded'; readonly directory: string }
  | ({ readonly kind: 'jetstream' } & JetStreamOptions);

/** @throws what `openEmbeddedStore` or `openJetStreamStore` throws */
export async function openStore(options: StoreOptions): Promise<Store> {
  if (options.kind === 'embedded') return openEmbeddedStore(options.directory);
  const { kind: _, ...config } = options;
  return openJetStreamStore(config);
}

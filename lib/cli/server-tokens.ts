/** A server's bearer tokens, from beside it. */
import { StoredTokens } from '../server/auth/stored-tokens.js';
import { BearerTokens } from '../server/auth/tokens.js';
import { openStore } from '../store/open-store.js';
import { type ServerDataOptions, storeOptionsOf } from './server-options.js';

export async function withTokens<T>(
  options: ServerDataOptions,
  work: (tokens: BearerTokens) => Promise<T>,
): Promise<T> {
  const store = await openStore(await storeOptionsOf(options));
  try {
    return await work(new BearerTokens(new StoredTokens(store.state)));
  } finally {
    await store.close();
  }
}

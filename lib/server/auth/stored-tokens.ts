/** Bearer tokens in the store that all servers share. */
import type { StateStore } from '../../store/store.js';
import { changeJson, listJson, readJson } from '../state/json-state.js';
import { type StoredToken, storedTokenSchema, type TokenStore } from './tokens.js';

const PREFIX = 'token';

export class StoredTokens implements TokenStore {
  constructor(private readonly state: StateStore) {}

  async get(id: string): Promise<StoredToken | undefined> {
    return (await readJson(this.state, storedTokenSchema, `${PREFIX}.${id}`))?.value;
  }

  async put(token: StoredToken): Promise<void> {
    await changeJson(this.state, storedTokenSchema, `${PREFIX}.${token.id}`, () => token);
  }

  async list(): Promise<readonly StoredToken[]> {
    const tokens: StoredToken[] = [];
    for await (const { value } of listJson(this.state, storedTokenSchema, PREFIX)) tokens.push(value);
    return tokens;
  }
}

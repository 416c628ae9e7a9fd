import { expect } from 'chai';
import { BearerTokens } from '../../../lib/server/auth/tokens.js';
import { expectRefusal } from '../../support/refusals.js';
import { MemoryTokenStore } from '../support/test-server.js';

describe('bearer tokens', () => {
  let store: MemoryTokenStore;
  let tokens: BearerTokens;
  let nowMs: number;

  beforeEach(() => {
    nowMs = 1_800_000_000_000;
    store = new MemoryTokenStore();
    tokens = new BearerTokens(store, () => nowMs);
  });

  it('name a person and a role until they expire', async () => {
    const { token, id } = await tokens.create('Ada', 'viewer', 30);
    expect(token).to.match(/^tgt_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
    expect(await tokens.verify(token)).to.deep.equal({ kind: 'person', role: 'viewer', id, name: 'Ada' });
    nowMs += 30 * 86_400_000 - 1;
    await tokens.verify(token);
    nowMs += 1;
    await expectRefusal('auth.token-expired', () => tokens.verify(token));
  });

  it('are kept as a hash, and listed without it', async () => {
    const { token } = await tokens.create('Ada', 'operator', 1);
    const secret = Buffer.from(token.slice(21), 'base64url');
    const kept = JSON.stringify([...store.tokens.values()]);
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      expect(kept).not.to.include(secret.toString(encoding));
    }
    const [listed] = await tokens.list();
    expect(listed).to.have.all.keys('id', 'role', 'name', 'createdMs', 'expiresMs');
  });

  it('are refused once they are revoked', async () => {
    const { token, id } = await tokens.create('Ada', 'operator', 1);
    await tokens.revoke(id);
    const revokedMs = nowMs;
    nowMs += 5;
    await tokens.revoke(id);
    await expectRefusal('auth.token-revoked', () => tokens.verify(token));
    expect((await tokens.list())[0]?.revokedMs).to.equal(revokedMs);
    await expectRefusal('token.unknown', () => tokens.revoke('0'.repeat(16)));
  });

  it('with another secret, another id or another form are refused alike', async () => {
    const { token } = await tokens.create('Ada', 'operator', 1);
    const other = await tokens.create('Bob', 'viewer', 1);
    const flipped = token.slice(0, 25) + (token[25] === 'A' ? 'B' : 'A') + token.slice(26);
    const swapped = other.token.slice(0, 21) + token.slice(21);
    const unknown = `tgt_${'0'.repeat(16)}_${token.slice(21)}`;
    for (const wrong of [flipped, swapped, unknown, '', 'tgt_', token.slice(1), `${token}A`, ` ${token}`]) {
      const refusal = await expectRefusal('auth.bad-token', () => tokens.verify(wrong));
      expect(refusal.message).not.to.include('tgt_');
    }
  });

  it('need a name and a number of days', async () => {
    await expectRefusal('token.bad-name', () => tokens.create('', 'viewer', 1));
    await expectRefusal('token.bad-name', () => tokens.create('two\nlines', 'viewer', 1));
    for (const days of [0, -1, 1.5, 3651, Number.NaN]) {
      await expectRefusal('token.bad-days', () => tokens.create('Ada', 'viewer', days));
    }
  });
});

import { expect } from 'chai';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { MAX_SECRET_BYTES } from '../../../lib/custody/wrappers/key-wrapper.js';
import { NoneWrapper } from '../../../lib/custody/wrappers/none-wrapper.js';
import { expectRefusal } from '../../support/refusals.js';
import { bytes32 } from '../support/bytes.js';
import { contentOf, secretOf } from './support/secrets.js';

describe('the wrapper that does not wrap', () => {
  it('says so, and stores the secret itself', async () => {
    const wrapper = new NoneWrapper();
    expect(wrapper.describe()).to.deep.equal({ kind: 'none', id: 'none', detail: {} });
    const wrapped = await wrapper.wrap(secretOf('a'));
    expect([...wrapped]).to.deep.equal([...bytes32('a')]);
    expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
  });

  it('gives out copies: wiping one secret leaves the others', async () => {
    const wrapper = new NoneWrapper();
    const secret = secretOf('a');
    const wrapped = await wrapper.wrap(secret);
    secret.wipe();
    (await wrapper.unwrap(wrapped)).wipe();
    expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
  });

  it('refuses impossible sizes, and work after it was closed', async () => {
    const wrapper = new NoneWrapper();
    await expectRefusal('wrapper.secret-size', () => wrapper.wrap(SecretBytes.random(0)));
    await expectRefusal('wrapper.secret-size', () => wrapper.wrap(SecretBytes.random(MAX_SECRET_BYTES + 1)));
    await expectRefusal('wrapper.malformed', () => wrapper.unwrap(new Uint8Array()));
    await expectRefusal('wrapper.malformed', () => wrapper.unwrap(new Uint8Array(MAX_SECRET_BYTES + 1)));
    await wrapper.close();
    await expectRefusal('wrapper.closed', () => wrapper.wrap(secretOf('a')));
    await expectRefusal('wrapper.closed', () => wrapper.unwrap(bytes32('a')));
  });
});

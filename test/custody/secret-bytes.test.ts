import { format, inspect } from 'node:util';
import { expect } from 'chai';
import { SecretBytes } from '../../lib/custody/secret-bytes.js';
import { expectRefusal } from '../support/refusals.js';

const marker = 'correct horse battery staple 123';

/** Every way in which the marker could show: text, hexadecimal, base64, decimal bytes. */
function shows(text: string): boolean {
  const bytes = Buffer.from(marker);
  return [marker, bytes.toString('hex'), bytes.toString('base64'), [...bytes].join(',')].some((form) =>
    text.replaceAll(/\s/g, '').includes(form.replaceAll(/\s/g, '')),
  );
}

describe('secret bytes', () => {
  const secret = new SecretBytes(Uint8Array.from(Buffer.from(marker)));
  const holder = { nested: { secret }, list: [secret] };

  for (const [how, print] of [
    ['string conversion', () => String(secret)],
    ['a template', () => `${secret}`],
    ['JSON', () => JSON.stringify(holder)],
    ['inspect', () => inspect(holder, { depth: null, showHidden: true, getters: true })],
    ['console formatting', () => format('%s %o %O %j', secret, secret, holder, holder)],
    ['an error cause', () => inspect(new Error('failed', { cause: holder }))],
    ['a structured clone', () => inspect(structuredClone(secret), { showHidden: true, depth: null })],
    ['its own properties', () => inspect(Object.entries(Object.getOwnPropertyDescriptors(secret)))],
  ] as const) {
    it(`do not show in ${how}`, () => {
      const printed = print();
      expect(printed).to.be.a('string').that.is.not.empty;
      expect(shows(printed), printed).to.equal(false);
    });
  }

  it('are lent to who uses them', () => {
    expect(secret.use((bytes) => Buffer.from(bytes).toString())).to.equal(marker);
    expect(secret.sizeBytes).to.equal(marker.length);
  });

  it('are zero after wiping, in the array itself, and not usable again', async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const wiped = new SecretBytes(bytes);
    wiped.wipe();
    expect([...bytes]).to.deep.equal([0, 0, 0]);
    await expectRefusal('key.wiped', () => wiped.use((seed) => seed[0]));
  });

  it('are fresh when drawn at random', () => {
    const draw = () => SecretBytes.random(32).use((bytes) => Buffer.from(bytes).toString('hex'));
    expect(draw()).to.have.length(64);
    expect(draw()).to.not.equal(draw());
  });
});

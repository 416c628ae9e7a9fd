import { join } from 'node:path';
import { expect } from 'chai';
import { openContainer } from '../../lib/package/reader.js';
import { importSecret } from '../../lib/package/signing-key.js';
import { pathsBelow } from '../round/support/directories.js';
import { craftUpdate, signAgain, withBitFlippedIn, withSignatureChanged } from '../round/support/forgery.js';
import { UPDATES, vector } from './files.js';
import { downgraded, section, withHeader, withLongInteger, withSignatures } from './mutations.js';
import {
  aggregating,
  type Case,
  client,
  describeRefusals,
  hybrid,
  newPlaces,
  openRounds,
  round,
} from './steps.js';

/** The first update changed, with two good ones. */
const update =
  (change: (file: Uint8Array) => Uint8Array | Promise<Uint8Array>): Case[2] =>
  async (places) =>
    aggregating(places, [await change(await vector('update-1.tgu')), 'update-2.tgu', 'update-3.tgu']);

const patched = (offset: number, ...bytes: number[]): Case[2] =>
  update((file) => {
    const changed = Uint8Array.from(file);
    changed.set(bytes, offset);
    return changed;
  });

const FILES: readonly Case[] = [
  ['a file of nothing', 'container.truncated', update(() => new Uint8Array())],
  ['a file cut within its prefix', 'container.truncated', update((file) => file.subarray(0, 19))],
  ['a file cut within its header', 'container.truncated', update((file) => file.subarray(0, 300))],
  ['a file cut within its last section', 'container.truncated', update((file) => file.subarray(0, -1))],
  ['a byte after the end', 'container.trailing-bytes', update((file) => Buffer.concat([file, Buffer.of(0)]))],
  ['another kind of file', 'container.bad-magic', patched(0, 0x50, 0x4b)],
  ['a format of the future', 'container.unknown-version', patched(8, 2)],
  ['a format before the first', 'container.unknown-version', patched(8, 0)],
  ['reserved bytes in use', 'container.reserved-not-zero', patched(10, 1)],
  ['a header of 2 GiB', 'container.too-large', patched(15, 0x80)],
  ['signatures of 16 MiB', 'container.too-large', patched(18, 0, 1)],
  ['a header longer than the file', 'container.truncated', patched(12, 0, 0, 0x80, 0)],
  [
    'a section that claims more than follows',
    'container.truncated',
    update((file) =>
      withHeader(file, client(1).signing, (header) => {
        section(header, 'shares').length += 1000;
      }),
    ),
  ],
  [
    'a section that claims a terabyte',
    'container.wrong-sections',
    update((file) =>
      withHeader(file, client(1).signing, (header) => {
        section(header, 'ciphertext').length = 2 ** 40;
      }),
    ),
  ],
  [
    'a field that no version knows',
    'container.invalid-body',
    update((file) =>
      withHeader(file, client(1).signing, (header) => {
        header['body'] = { ...(header['body'] as object), weight: 17 };
      }),
    ),
  ],
  ['an integer longer than it need be', 'container.not-canonical', update(withLongInteger)],
  [
    'a ciphertext with one bit changed',
    'container.digest-mismatch',
    update(async (file) => {
      const container = await openContainer(file, 'update');
      return withBitFlippedIn(file, await container.readSection('ciphertext'));
    }),
  ],
  [
    'a sealed share with one bit changed',
    'container.digest-mismatch',
    update(async (file) => {
      const container = await openContainer(file, 'update');
      return withBitFlippedIn(file, await container.readSection('shares'));
    }),
  ],
  [
    'a header with one bit changed',
    'container.bad-signature',
    update((file) => withBitFlippedIn(file, derivedPlan())),
  ],
  ['a signature with one bit changed', 'container.bad-signature', update(withSignatureChanged)],
  ['no signature at all', 'container.signature-stripped', update((file) => withSignatures(file, () => []))],
  [
    'a signature of another algorithm beside the right one',
    'container.unexpected-signature',
    update((file) => withSignatures(file, (entries) => [...entries, { ...entries[0], alg: 'ml-dsa-65' }])),
  ],
  [
    'a plan in the place of an update',
    'container.wrong-kind',
    async (places) => aggregating(places, [await vector('plan.tgp'), 'update-2.tgu', 'update-3.tgu']),
  ],
];

/** A digest that every header of this round holds outside of what is checked before the signature. */
function derivedPlan(): Uint8Array {
  return round.plan.body.adapterSchema;
}

/** Three updates of the hybrid fleet, the first changed. */
const hybridUpdate =
  (change: (file: Uint8Array) => Promise<Uint8Array>): Case[2] =>
  async (places) =>
    aggregating(
      places,
      [
        await change(await vector('hybrid-update.tgu')),
        await craftUpdate(hybrid.plan, client(2, hybrid)),
        await craftUpdate(hybrid.plan, client(3, hybrid)),
      ],
      hybrid,
    );

const SIGNATURES: readonly Case[] = [
  [
    'the post-quantum one stripped',
    'container.signature-stripped',
    hybridUpdate((file) => withSignatures(file, (entries) => entries.slice(0, 1))),
  ],
  [
    'the classical one stripped',
    'container.signature-stripped',
    hybridUpdate((file) => withSignatures(file, (entries) => entries.slice(1))),
  ],
  [
    'the post-quantum one of another header',
    'container.bad-signature',
    hybridUpdate(async (file) => {
      const other = await openContainer(await craftUpdate(hybrid.plan, client(1, hybrid)), 'update');
      return withSignatures(file, ([first]) => [first, other.signatures[1]]);
    }),
  ],
  [
    'only the classical one announced, by the client itself',
    'container.algorithm-missing',
    hybridUpdate((file) => signAgain('update', file, downgraded(client(1, hybrid).signing))),
  ],
  [
    'signed by the classical half of the key under an id of its own',
    'container.wrong-signer',
    hybridUpdate((file) => {
      const { ed25519 } = client(1, hybrid).signing.exportSecret();
      return signAgain('update', file, importSecret({ ed25519 }));
    }),
  ],
];

describe('bad files are refused, with a code, and nothing written', () => {
  before(openRounds);

  describeRefusals('an update’s file: ', FILES);
  describeRefusals('signatures where two are required: ', SIGNATURES);

  it('but not the good file that they were made from', async () => {
    const places = await newPlaces();
    await aggregating(places, UPDATES);
    await hybridUpdate(async (file) => file)({ ...places, out: join(places.out, 'hybrid') });
    expect(await pathsBelow(places.out)).to.deep.equal(['A.tga', 'hybrid', 'hybrid/A.tga']);
  });
});

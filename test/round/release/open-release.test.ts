import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { sealPayload } from '../../../lib/custody/release/payload-cipher.js';
import { openReleaseState } from '../../../lib/custody/release/release-state.js';
import { sealWraps } from '../../../lib/custody/release/wraps.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { sha256 } from '../../../lib/package/digests.js';
import {
  adapterFingerprint,
  plaintextBytes,
  RELEASE_SEGMENT_BYTES,
  RELEASE_WRAP_BYTES,
} from '../../../lib/package/messages/release.js';
import { openContainer } from '../../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { smallFile } from '../../package/fixtures.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { adapterValues, writeAdapter } from '../support/adapters.js';
import { expectTensors, pathsBelow } from '../support/directories.js';
import { createMembers } from '../support/members.js';
import { atEveryWrite } from '../support/power-cut.js';
import { type Released, ReleaseFleet } from './support/releases.js';

const FILES = ['adapter_config.json', 'adapter_model.safetensors'];

async function sameFiles(found: string, expected: string): Promise<void> {
  for (const name of FILES) {
    const [one, other] = await Promise.all(
      [found, expected].map((directory) => readFile(join(directory, name))),
    );
    expect((one as Buffer).equals(other as Buffer), name).to.equal(true);
  }
}

/** A release's file with other content, signed by the owner again: what only a wrong owner can make. */
async function signedAgain(
  fleet: ReleaseFleet,
  file: string,
  change: (parts: { body: Released['body']; wraps: Uint8Array; payload: Uint8Array }) => void,
): Promise<Uint8Array> {
  const container = await openContainer(file, 'release');
  const parts = {
    body: structuredClone(container.body),
    wraps: await container.readSection('wraps'),
    payload: await container.readSection('payload'),
  };
  await container.close();
  change(parts);
  return containerBytes(
    await encodeContainer({
      kind: 'release',
      body: parts.body,
      sections: [
        { name: 'wraps', data: parts.wraps },
        { name: 'payload', data: parts.payload },
      ],
      signer: fleet.members.owner.signing,
    }),
  );
}

/** A release of any two files, with the digests that they have or others: what only a wrong owner can make. */
async function crafted(
  fleet: ReleaseFleet,
  config: Uint8Array,
  tensors: Uint8Array,
  counter: number,
  digests: { readonly config?: Uint8Array; readonly tensors?: Uint8Array } = {},
): Promise<Uint8Array> {
  const files = {
    config: { sizeBytes: config.length, digest: digests.config ?? sha256(config) },
    tensors: { sizeBytes: tensors.length, digest: digests.tensors ?? sha256(tensors) },
  };
  const recipients = fleet.recipients();
  const honest = (await fleet.records.released(fleet.roster, 'pick'))[0] as Released['body'];
  const body: Released['body'] = {
    ...honest,
    counter,
    adapterFingerprint: adapterFingerprint(files),
    payload: { ...files, noncePrefix: new Uint8Array(7) },
  };
  const key = SecretBytes.random(32);
  const cipher = {
    key,
    noncePrefix: body.payload.noncePrefix,
    release: body,
    plaintextBytes: plaintextBytes(files),
  };
  const sealed: Uint8Array[] = [];
  async function* plaintext(): AsyncGenerator<Uint8Array, void, void> {
    yield config;
    yield tensors;
  }
  for await (const segment of sealPayload(cipher, plaintext())) sealed.push(segment);
  const kemKeys = new Map(recipients.map(({ client, kem }) => [client, kem]));
  return containerBytes(
    await encodeContainer({
      kind: 'release',
      body,
      sections: [
        { name: 'wraps', data: await sealWraps(body, fleet.roster.ownerKeyId, kemKeys, key) },
        { name: 'payload', data: new Uint8Array(Buffer.concat(sealed)) },
      ],
      signer: fleet.members.owner.signing,
    }),
  );
}

describe('opening a release', () => {
  let fleet: ReleaseFleet;
  let a: string;
  let b: string;
  let first: Released;
  let second: Released;

  before(async () => {
    fleet = await ReleaseFleet.start(await temporaryDirectory());
    a = await writeAdapter(join(fleet.directory, 'a'), 'a');
    b = await writeAdapter(join(fleet.directory, 'b'), 'b', { config: { lora_alpha: 99 } });
    first = await fleet.create(a);
    second = await fleet.create(b);
  });

  /** The same fleet and files, with clients that have taken nothing. */
  async function freshClients(): Promise<ReleaseFleet> {
    return fleet.copyTo(join(await temporaryDirectory(), 'fleet'));
  }

  async function refused(
    mine: ReleaseFleet,
    code: string,
    file: string | Uint8Array,
    changes: Parameters<ReleaseFleet['open']>[1] = {},
  ): Promise<Error> {
    const clientId = changes.clientId ?? 'client-1';
    const before = await pathsBelow(join(mine.directory, clientId));
    const taken = await mine.taken(clientId);
    const error = await expectRefusal(code, () => mine.open(file, changes));
    expect(
      (await pathsBelow(join(mine.directory, clientId))).filter((path) => path !== 'releases/store.lock'),
    ).to.deep.equal(before.filter((path) => path !== 'releases/store.lock'));
    expect(await mine.taken(clientId)).to.deep.equal(taken);
    return error;
  }

  it('gives every client the adapter, byte for byte, for nobody else to read', async () => {
    const mine = await freshClients();
    for (const { id: clientId } of mine.members.clients) {
      const opened = await mine.open(second.file, { clientId });
      expect(opened).to.deep.include({ again: false, fingerprint: second.fingerprint });
      await sameFiles(mine.out(clientId), b);
      expect(await pathsBelow(mine.out(clientId))).to.deep.equal(FILES);
      expect(await mine.taken(clientId)).to.deep.equal([2]);
      for (const name of FILES) {
        expect((await stat(join(mine.out(clientId), name))).mode & 0o777).to.equal(0o600);
      }
    }
    const names = (await pathsBelow(join(mine.directory, 'client-1'))).filter((path) =>
      path.includes('tensorguard'),
    );
    expect(names).to.deep.equal([]);
  });

  it('reads it from memory as well', async () => {
    const mine = await freshClients();
    await mine.open(await readFile(first.file));
    await sameFiles(mine.out(), a);
  });

  it('replaces an adapter, keeps its README.md, and writes the latest again when asked', async () => {
    const mine = await freshClients();
    await mine.open(first.file);
    await writeFile(join(mine.out(), 'README.md'), 'ours');
    await mine.open(second.file);
    await sameFiles(mine.out(), b);
    const again = await mine.open(second.file);
    expect(again.again).to.equal(true);
    await sameFiles(mine.out(), b);
    expect(await readFile(join(mine.out(), 'README.md'), 'utf8')).to.equal('ours');
    const elsewhere = join(mine.directory, 'elsewhere', 'deep');
    await mine.open(second.file, { out: elsewhere });
    await sameFiles(elsewhere, b);
    expect(await mine.taken()).to.deep.equal([1, 2]);
  });

  it('refuses a directory that holds anything else, before it decrypts', async () => {
    const mine = await freshClients();
    await mkdir(mine.out());
    await writeFile(join(mine.out(), 'notes.txt'), 'mine');
    const kemFor = async (): Promise<never> => {
      throw new Error('a key was unwrapped');
    };
    await refused(mine, 'adapter.directory-not-empty', first.file, { kemFor });
  });

  it('is not for a client that it does not list', async () => {
    const mine = await freshClients();
    const [, ...others] = fleet.recipients();
    const { file } = await mine.create(a, { recipients: others });
    await refused(mine, 'release.not-a-recipient', file);
    await mine.open(file, { clientId: 'client-2' });
  });

  it('refuses an older release, and one that was taken before, before it asks for a key', async () => {
    const mine = await freshClients();
    await mine.open(first.file);
    await mine.open(second.file);
    const kemFor = async (): Promise<never> => {
      throw new Error('a key was unwrapped');
    };
    await refused(mine, 'release.older', first.file, { kemFor });
    await sameFiles(mine.out(), b);
  });

  it('refuses two releases with one counter', async () => {
    const mine = await freshClients();
    await mine.open(first.file);
    const twin = await signedAgain(fleet, first.file, ({ body }) => {
      body.note = 'another';
    });
    await refused(mine, 'release.equivocation', twin);
  });

  it('goes back where the owner says so, and not to what was withdrawn', async () => {
    const mine = await freshClients();
    await mine.open(first.file);
    await mine.open(second.file);
    const back = await mine.create(a, { rollbackTo: 1 });
    expect(back.body.counter).to.be.greaterThan(2);
    await mine.open(back.file);
    await sameFiles(mine.out(), a);
    // The owner's own records refuse this: a file that was signed in spite of them.
    const { counter } = back.body;
    const returned = await signedAgain(mine, second.file, ({ body }) => {
      body.counter = counter + 1;
    });
    await refused(mine, 'release.rolled-back', returned);
    const mismatched = await signedAgain(mine, second.file, ({ body }) => {
      body.counter = counter + 1;
      body.rollback = { to: 1, withdrawn: [back.body.adapterFingerprint] };
    });
    await refused(mine, 'release.rollback-mismatch', mismatched);
    const forward = await mine.create(b, { rollbackTo: 2 });
    await mine.open(forward.file);
    await sameFiles(mine.out(), b);
  });

  it('is the only one of a counter: its content does not open under another', async () => {
    const mine = await freshClients();
    const moved = await signedAgain(fleet, first.file, ({ body }) => {
      body.counter = 77;
    });
    await refused(mine, 'hpke.open-failed', moved);
  });

  it('is not opened by another client with a wrap that was moved', async () => {
    const mine = await freshClients();
    const swapped = await signedAgain(fleet, first.file, ({ wraps }) => {
      const one = Uint8Array.from(wraps.subarray(0, RELEASE_WRAP_BYTES));
      wraps.copyWithin(0, RELEASE_WRAP_BYTES, 2 * RELEASE_WRAP_BYTES);
      wraps.set(one, RELEASE_WRAP_BYTES);
    });
    await refused(mine, 'hpke.open-failed', swapped);
    await refused(mine, 'hpke.open-failed', swapped, { clientId: 'client-2' });
    await mine.open(swapped, { clientId: 'client-3' });
  });

  it('is refused where the owner did not sign it, or another fleet is meant', async () => {
    const mine = await freshClients();
    const impostor = (await createMembers({ clients: 3, custodians: 3 })).coordinator.signing;
    const container = await openContainer(first.file, 'release');
    const forged = containerBytes(
      await encodeContainer({
        kind: 'release',
        body: container.body,
        sections: [
          { name: 'wraps', data: await container.readSection('wraps') },
          { name: 'payload', data: await container.readSection('payload') },
        ],
        signer: impostor,
      }),
    );
    await container.close();
    await refused(mine, 'container.wrong-signer', forged);
    const elsewhere = await signedAgain(fleet, first.file, ({ body }) => {
      body.fleet = 'other';
    });
    await refused(mine, 'roster.other-fleet', elsewhere);
    await refused(mine, 'container.wrong-kind', await smallFile('plan'));
  });

  it('is refused when any byte of it is another, and nothing is written', async function () {
    this.timeout(120_000);
    const mine = await freshClients();
    const bytes = await readFile(first.file);
    const before = await pathsBelow(mine.directory);
    const state = await mine.state();
    const step = Math.max(1, Math.floor(bytes.length / 400));
    try {
      for (let at = 0; at < bytes.length; at += step) {
        bytes[at] = (bytes[at] as number) ^ 0x20;
        let code: unknown;
        await mine.open(bytes, { state }).catch((error: { code?: unknown }) => {
          code = error.code;
        });
        bytes[at] = (bytes[at] as number) ^ 0x20;
        expect(code, `byte ${at} of ${bytes.length}`).to.match(/^container\./);
      }
      expect(state.taken('acme', 'pick')).to.deep.equal([]);
    } finally {
      state.close();
    }
    const added = (await pathsBelow(mine.directory)).filter((path) => !before.includes(path));
    expect(added.filter((path) => !path.endsWith('store.lock'))).to.deep.equal([]);
  });

  it('is refused when its content is not what it names, though the owner signed it', async () => {
    const mine = await freshClients();
    const broken = await signedAgain(fleet, first.file, ({ payload }) => {
      payload[100] = (payload[100] as number) ^ 1;
    });
    await refused(mine, 'release.content-broken', broken);
    const otherSchema = await signedAgain(fleet, first.file, ({ body }) => {
      body.adapterSchema = new Uint8Array(32);
    });
    await refused(mine, 'release.wrong-content', otherSchema);
  });

  it('is refused where the envelope does not list its PEFT type', async () => {
    const mine = await freshClients();
    await refused(mine, 'adapter.peft-type-unsupported', first.file, { peftTypes: ['IA3'] });
  });

  it('is of the policy that the client follows', async () => {
    const mine = await freshClients();
    await mine.open(first.file);
    const other = await mine.create(b, { policy: 'place' });
    await refused(mine, 'release.other-policy', other.file);
    await refused(mine, 'release.other-policy', second.file, { policy: 'place' });
    await mine.open(other.file, { policy: 'place', out: join(mine.directory, 'place') });
    await refused(mine, 'release.other-policy', second.file);
    await mine.open(second.file, { policy: 'pick' });
    expect(await mine.taken('client-1', 'place')).to.deep.equal([other.body.counter]);
  });

  it('wipes the key that it was handed, and shows none in its errors', async () => {
    const mine = await freshClients();
    const { kem } = first.body.recipients[0] as Released['body']['recipients'][number];
    const handed = await mine.kemFor('client-1')(kem, 'a test');
    await mine.open(first.file, { kemFor: async () => handed });
    expect(() => handed.use((bytes) => bytes.length)).to.throw(/wiped/);
    const seed = Buffer.from(mine.kemKey('client-1').seed.use((bytes) => Uint8Array.from(bytes)));
    const moved = await signedAgain(fleet, second.file, ({ body }) => {
      body.counter = 78;
    });
    const shown = inspect(await refused(mine, 'hpke.open-failed', moved), { depth: 10, showHidden: true });
    expect(shown).not.to.include(seed.toString('hex'));
    expect(shown).not.to.include(seed.toString('base64'));
  });

  it('waits for another call of the same client, so that an older adapter never replaces a newer one', async () => {
    const mine = await freshClients();
    let newer: Promise<unknown> | undefined;
    await mine.open(first.file, {
      kemFor: async (digest, what) => {
        newer = mine.open(second.file);
        // Without a lock the newer one would be in place by then, and this one would replace it.
        await Promise.race([newer, delay(300)]);
        return mine.kemFor('client-1')(digest, what);
      },
    });
    await newer;
    await sameFiles(mine.out(), b);
    expect(await mine.taken()).to.deep.equal([1, 2]);
  });

  it('is refused when what comes out is not what was announced, or does not load, and nothing is written', async () => {
    const mine = await freshClients();
    const [config, tensors] = (await Promise.all(FILES.map((name) => readFile(join(a, name))))) as [
      Buffer,
      Buffer,
    ];
    await mine.open(await crafted(mine, config, tensors, 90), { clientId: 'client-2' });
    for (const changes of [{ config: sha256(tensors) }, { tensors: sha256(config) }]) {
      await refused(mine, 'release.wrong-content', await crafted(mine, config, tensors, 91, changes));
    }
    const text = Buffer.from('{"peft_type":"LORA",}');
    await refused(mine, 'adapter.config-malformed', await crafted(mine, text, tensors, 91));
    await refused(
      mine,
      'safetensors.offsets-beyond-file',
      await crafted(mine, config, tensors.subarray(0, -4), 91),
    );
  });

  it('loses its power before any of its writes: the old adapter or the new, and never a record without its adapter', async function () {
    this.timeout(120_000);
    const seen = new Set<string>();
    for (const [from, to, oldAdapter, newAdapter] of [
      [first, second, a, b],
      [undefined, first, undefined, a],
      [first, await sameConfigRelease(), a, join(fleet.directory, 'same')],
    ] as const) {
      const old = oldAdapter === undefined ? undefined : await adapterValues(oldAdapter);
      const fresh = await adapterValues(newAdapter);
      const template = await freshClients();
      if (from !== undefined) {
        await template.open(from.file);
        await writeFile(join(template.out(), 'README.md'), 'ours');
      }
      const writes = await atEveryWrite(async (cut, at) => {
        const mine = await template.copyTo(join(await temporaryDirectory(), 'fleet'));
        const state = await openReleaseState(join(mine.directory, 'client-1'));
        try {
          await cut(() => mine.open(to.file, { state }));
        } finally {
          state.close();
        }
        const recorded = (await mine.taken()).at(-1) === to.body.counter;
        const placed = await holds(mine.out(), fresh);
        seen.add(`${recorded} ${placed}`);
        if (recorded) expect(placed, `cut at write ${at}: recorded without its adapter`).to.equal(true);
        if (!placed && old !== undefined) await expectTensors(mine.out(), old);
        if (!placed && old === undefined) expect(existsSync(mine.out())).to.equal(false);
        const { again } = await mine.open(to.file);
        expect(again).to.equal(recorded);
        await sameFiles(mine.out(), newAdapter);
        expect((await mine.taken()).at(-1)).to.equal(to.body.counter);
        const left = (await pathsBelow(join(mine.directory, 'client-1'))).filter((path) =>
          path.startsWith('.'),
        );
        expect(left, `cut at write ${at}`).to.deep.equal([]);
        if (from !== undefined)
          expect(existsSync(join(mine.out(), 'README.md')), `cut at write ${at}`).to.equal(true);
      });
      expect(writes).to.be.greaterThan(12);
    }
    expect([...seen].sort()).to.deep.equal(['false false', 'false true', 'true true']);
  });

  async function sameConfigRelease(): Promise<Released> {
    const same = await writeAdapter(join(fleet.directory, 'same'), 'same');
    return fleet.create(same);
  }

  async function holds(directory: string, values: ReadonlyMap<string, Float32Array>): Promise<boolean> {
    return expectTensors(directory, values).then(
      () => true,
      () => false,
    );
  }
});

describe('a release of several segments', () => {
  const SHAPES = [
    { name: 'base_model.model.layers.0.q_proj.lora_A.weight', shape: [4, 200_000] },
    { name: 'base_model.model.layers.0.q_proj.lora_B.weight', shape: [160, 4] },
  ];
  let fleet: ReleaseFleet;
  let adapter: string;
  let release: Released;

  before(async () => {
    fleet = await ReleaseFleet.start(await temporaryDirectory());
    adapter = await writeAdapter(join(fleet.directory, 'large'), 'large', { shapes: SHAPES });
    release = await fleet.create(adapter);
  });

  it('streams to the client', async () => {
    expect(release.sizeBytes).to.be.greaterThan(3 * RELEASE_SEGMENT_BYTES);
    await fleet.open(release.file);
    await sameFiles(fleet.out(), adapter);
  });

  it('does not open with segments that the owner moved, doubled or cut', async () => {
    const swap = (x: number, y: number) => (payload: Uint8Array) => {
      const [from, to] = [x * RELEASE_SEGMENT_BYTES, y * RELEASE_SEGMENT_BYTES];
      const kept = Uint8Array.from(payload.subarray(from, from + RELEASE_SEGMENT_BYTES));
      payload.copyWithin(from, to, to + RELEASE_SEGMENT_BYTES);
      payload.set(kept, to);
    };
    const double = (payload: Uint8Array): void => {
      payload.copyWithin(RELEASE_SEGMENT_BYTES, 0, RELEASE_SEGMENT_BYTES);
    };
    for (const change of [swap(0, 1), swap(1, 2), double]) {
      const file = await signedAgain(fleet, release.file, ({ payload }) => change(payload));
      await expectRefusal('release.content-broken', () => fleet.open(file, { clientId: 'client-2' }));
    }
    const cut = await signedAgain(fleet, release.file, (parts) => {
      const { tensors, config } = parts.body.payload;
      const segments = 2;
      tensors.sizeBytes = segments * (RELEASE_SEGMENT_BYTES - 16) - config.sizeBytes;
      parts.payload = parts.payload.subarray(0, segments * RELEASE_SEGMENT_BYTES);
      parts.body.adapterFingerprint = adapterFingerprint(parts.body.payload);
    });
    // The wrap is bound to the fingerprint, which has the sizes in it.
    await expectRefusal('hpke.open-failed', () => fleet.open(cut, { clientId: 'client-2' }));
    expect(existsSync(fleet.out('client-2'))).to.equal(false);
    expect(await fleet.taken('client-2')).to.deep.equal([]);
  });
});

import { existsSync } from 'node:fs';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { kemDigest } from '../../../lib/custody/release/wraps.js';
import { adapterFingerprint, type ReleaseBody } from '../../../lib/package/messages/release.js';
import { openContainer } from '../../../lib/package/reader.js';
import { adapterPieces, measureAdapter } from '../../../lib/round/release/adapter-files.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { writeAdapter, writeValues } from '../support/adapters.js';
import { pathsBelow } from '../support/directories.js';
import { atEveryWrite } from '../support/power-cut.js';
import { TestRound } from '../support/round.js';
import { ReleaseFleet } from './support/releases.js';

async function copyOfFleet(rules?: Parameters<typeof ReleaseFleet.start>[1]): Promise<ReleaseFleet> {
  return ReleaseFleet.start(await temporaryDirectory(), rules);
}

describe('creating a release', () => {
  let fleet: ReleaseFleet;
  let adapter: string;

  before(async () => {
    fleet = await copyOfFleet();
    adapter = await writeAdapter(join(fleet.directory, 'released'), 'released');
  });

  it('writes a signed file that says what it holds and for whom, and keeps another', async () => {
    const { file, kept, body, fingerprint, sizeBytes } = await fleet.create(adapter, { note: 'first' });
    const container = await openContainer(file, 'release');
    await container.verify(fleet.members.owner.signing.publicKeys, ['ed25519']);
    await container.verifySections();
    const files = await measureAdapter(adapter);
    expect(container.body).to.deep.equal(body);
    expect(body).to.include({ fleet: 'acme', policy: 'pick', rosterVersion: 1, note: 'first' });
    expect(body.payload).to.deep.include(files);
    expect(Buffer.from(body.adapterFingerprint).equals(adapterFingerprint(files))).to.equal(true);
    expect(body.recipients).to.deep.equal(
      ['client-1', 'client-2', 'client-3'].map((client) => ({
        client,
        kem: kemDigest(fleet.kemKey(client).publicKey),
      })),
    );
    expect(container.fingerprint).to.deep.equal(fingerprint);
    await container.close();
    expect((await readFile(file)).equals(await readFile(kept))).to.equal(true);
    expect((await stat(file)).size).to.equal(sizeBytes);
    expect((await stat(kept)).mode & 0o777).to.equal(0o600);
  });

  it('holds nothing of the adapter in the clear, and no two releases of it are alike', async () => {
    const first = await readFile((await fleet.create(adapter)).file);
    const second = await readFile((await fleet.create(adapter)).file);
    const config = await readFile(join(adapter, 'adapter_config.json'));
    const tensors = await readFile(join(adapter, 'adapter_model.safetensors'));
    for (const plain of [config, tensors.subarray(0, 64), tensors.subarray(-64)]) {
      expect(first.includes(plain.subarray(0, 32))).to.equal(false);
    }
    expect(first.subarray(-64).equals(second.subarray(-64))).to.equal(false);
  });

  it('counts up, across policies and past counters whose making was cut off', async () => {
    const mine = await copyOfFleet();
    expect((await mine.create(adapter)).body.counter).to.equal(1);
    expect((await mine.create(adapter, { policy: 'place' })).body.counter).to.equal(2);
    const claim = { policy: 'pick', adapterFingerprint: new Uint8Array(32), claimedMs: 1 };
    expect(await mine.records.claim(claim)).to.equal(3);
    const made = await Promise.all([1, 2, 3].map(() => mine.create(adapter)));
    expect(made.map(({ body }) => body.counter).sort()).to.deep.equal([4, 5, 6]);
  });

  it('never gives a counter away twice', async () => {
    const mine = await copyOfFleet();
    const { body } = await mine.create(adapter);
    const { kept } = await mine.create(adapter);
    await expectRefusal('release.unknown-counter', () =>
      mine.create(adapter, { rollbackTo: body.counter + 9 }),
    );
    expect(await pathsBelow(join(mine.directory, 'owner', 'releases'))).to.deep.equal([
      '1.json',
      '1.tgr',
      '2.json',
      '2.tgr',
    ]);
    const before = await readFile(kept);
    const container = await openContainer(kept, 'release');
    const again = { envelope: container, parts: [container.envelopeBytes], sizeBytes: 0 };
    let failure: unknown;
    await mine.records.keep(again).catch((error: unknown) => {
      failure = error;
    });
    await container.close();
    expect(failure).to.have.property('code', 'EEXIST');
    expect((await readFile(kept)).equals(before)).to.equal(true);
  });

  it('seals to active clients only', async () => {
    const mine = await copyOfFleet((members) => ({
      clients: members.clients.map(({ id, signing }, i) => ({
        id,
        keys: signing.publicKeys,
        status: (['active', 'revoked', 'suspended'] as const)[i] as 'active',
      })),
    }));
    const { body, file } = await mine.create(adapter);
    expect(body.recipients.map(({ client }) => client)).to.deep.equal(['client-1']);
    for (const clientId of ['client-2', 'client-3']) {
      const recipients = [...mine.recipients(), { client: clientId, kem: mine.kemKey(clientId).publicKey }];
      await expectRefusal('release.recipient-not-active', () => mine.create(adapter, { recipients }));
      await expectRefusal('release.not-a-recipient', () => mine.open(file, { clientId }));
    }
    const stranger = [{ client: 'client-9', kem: mine.kemKey('client-1').publicKey }];
    await expectRefusal('release.recipient-not-active', () => mine.create(adapter, { recipients: stranger }));
  });

  const refusedBeforeClaim = async (
    mine: ReleaseFleet,
    code: string,
    from: string,
    changes: Parameters<ReleaseFleet['create']>[1],
  ): Promise<void> => {
    const before = await pathsBelow(mine.directory);
    await expectRefusal(code, () => mine.create(from, changes));
    expect(await pathsBelow(mine.directory), code).to.deep.equal(before);
  };

  it('claims nothing and writes nothing where it refuses', async () => {
    const mine = await copyOfFleet();
    const [first] = mine.recipients();
    await refusedBeforeClaim(mine, 'release.no-recipients', adapter, { recipients: [] });
    await refusedBeforeClaim(mine, 'release.duplicate-recipient', adapter, {
      recipients: [first, first] as ReturnType<ReleaseFleet['recipients']>,
    });
    const [client] = mine.members.clients;
    await refusedBeforeClaim(mine, 'roster.not-this-key', adapter, {
      signing: (client as { signing: typeof mine.members.owner.signing }).signing,
    });
    await refusedBeforeClaim(mine, 'adapter.file-missing', join(mine.directory, 'nowhere'), {});
    const diverged = await writeAdapter(join(await temporaryDirectory(), 'diverged'), 'x');
    const path = join(diverged, 'adapter_model.safetensors');
    const bytes = await readFile(path);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    await writeFile(path, bytes);
    await refusedBeforeClaim(mine, 'safetensors.non-finite', diverged, {});
    await writeFile(join(diverged, 'adapter_config.json'), '{"peft_type":"IA3"}');
    await refusedBeforeClaim(mine, 'adapter.peft-type-unsupported', diverged, {});
  });

  it('is of the round whose plan it is given', async () => {
    const round = await TestRound.start(await temporaryDirectory());
    const mine = await copyOfFleet();
    const { body } = await mine.create(round.like, { plan: round.plan });
    expect(body.round).to.deep.equal({ cohort: 'all', round: 1, plan: round.plan.fingerprint });
    expect(body.loraMode).to.equal('average');
    expect(body.adapterSchema).to.deep.equal(round.plan.body.adapterSchema);
    await expectRefusal('release.other-policy', () =>
      mine.create(round.like, { plan: round.plan, policy: 'place' }),
    );
    const other = await writeAdapter(join(await temporaryDirectory(), 'other'), 'x', {
      config: { lora_alpha: 3 },
    });
    await expectRefusal('adapter.other-config', () => mine.create(other, { plan: round.plan }));
    round.end();
  });

  it('refuses an adapter that changes while it is read, and whose change it hashes as it encrypts', async () => {
    const changing = await writeAdapter(join(await temporaryDirectory(), 'changing'), 'x');
    const files = await measureAdapter(changing);
    const path = join(changing, 'adapter_model.safetensors');
    const original = await readFile(path);
    const drain = async (): Promise<number> => {
      let yielded = 0;
      for await (const piece of adapterPieces(changing, files)) yielded += piece.length;
      return yielded;
    };
    expect(await drain()).to.equal(files.config.sizeBytes + files.tensors.sizeBytes);
    const changed = Buffer.from(original);
    changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1;
    for (const bytes of [changed, original.subarray(0, -1), Buffer.concat([original, Buffer.of(0)])]) {
      await writeFile(path, bytes);
      await expectRefusal('release.adapter-changed', drain);
    }
    await writeFile(path, original);
    await appendFile(join(changing, 'adapter_config.json'), ' ');
    await expectRefusal('release.adapter-changed', drain);
  });
});

describe('rolling a release back', () => {
  let fleet: ReleaseFleet;
  let a: string;
  let b: string;
  const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

  before(async () => {
    fleet = await copyOfFleet();
    a = await writeAdapter(join(fleet.directory, 'a'), 'a');
    b = await writeAdapter(join(fleet.directory, 'b'), 'b');
  });

  it('makes a new release of the older adapter that lists all that it withdraws', async () => {
    const first = await fleet.create(a);
    await expectRefusal('release.nothing-to-roll-back', () => fleet.create(a, { rollbackTo: 1 }));
    const second = await fleet.create(b);
    const c = await writeValues(join(fleet.directory, 'c'), (_name, out) => {
      out.fill(0.5);
    });
    const third = await fleet.create(c);
    await fleet.create(c, { policy: 'place' });
    const { body } = await fleet.create(a, { rollbackTo: 1 });
    expect(body.counter).to.equal(5);
    expect(hexOf(body.adapterFingerprint)).to.equal(hexOf(first.body.adapterFingerprint));
    expect(body.rollback?.to).to.equal(1);
    expect(body.rollback?.withdrawn.map(hexOf)).to.have.members(
      [second, third].map((release) => hexOf(release.body.adapterFingerprint)),
    );
  });

  it('is refused with another adapter than that release had', async () => {
    await expectRefusal('release.rollback-other-adapter', () => fleet.create(b, { rollbackTo: 1 }));
  });

  it('knows the releases of its own policy only', async () => {
    await expectRefusal('release.unknown-counter', () => fleet.create(a, { rollbackTo: 4 }));
  });

  it('does not let what was withdrawn be released again, but by going back to it', async () => {
    await expectRefusal('release.rolled-back', () => fleet.create(b));
    const { body } = await fleet.create(b, { rollbackTo: 2 });
    expect(body.rollback?.to).to.equal(2);
    expect(body.rollback?.withdrawn.map(hexOf)).not.to.include(hexOf(body.adapterFingerprint));
    await fleet.create(b);
  });

  it('does not trust a record that the owner did not sign', async () => {
    const mine = await copyOfFleet();
    const { kept } = await mine.create(a);
    const container = await openContainer(kept, 'release');
    const signatureEnd = container.envelopeBytes.length;
    await container.close();
    const bytes = await readFile(kept);
    // Before the key id, which is the last 40 bytes or so.
    bytes[signatureEnd - 60] = (bytes[signatureEnd - 60] as number) ^ 1;
    await writeFile(kept, bytes);
    await expectRefusal('container.bad-signature', () => mine.create(a));
  });
});

describe('creating a release that loses its power before any of its writes', () => {
  it('leaves releases whole or not at all, and never the same counter twice', async function () {
    this.timeout(120_000);
    const template = await ReleaseFleet.start(await temporaryDirectory());
    const adapter = await writeAdapter(join(template.directory, 'released'), 'released');
    const prefixOf = ({ payload }: ReleaseBody): string => Buffer.from(payload.noncePrefix).toString('hex');
    await template.create(adapter);
    const counters = new Set<number>();
    const writes = await atEveryWrite(async (cut, at) => {
      const fleet = await template.copyTo(join(await temporaryDirectory(), 'fleet'));
      const out = fleet.path('.tgr');
      await cut(() => fleet.create(adapter, { out }));
      const kept = await fleet.records.released(fleet.roster, 'pick');
      if (existsSync(out)) {
        const container = await openContainer(out, 'release');
        await container.verifySections();
        expect(kept.map(prefixOf), `cut at write ${at}: released before it was kept`).to.include(
          prefixOf(container.body),
        );
        await container.close();
      }
      const next = await fleet.create(adapter);
      expect(next.body.counter, `cut at write ${at}`).to.be.greaterThan(kept.at(-1)?.counter ?? 0);
      counters.add(next.body.counter);
    });
    // Cut off before the counter was claimed, and after.
    expect([...counters].sort()).to.deep.equal([2, 3]);
    expect(writes).to.be.greaterThan(10);
  });
});

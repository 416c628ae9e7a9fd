import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openContainer } from '../../lib/package/reader.js';
import { copyUpdate, dryRunSeal } from '../../lib/round/seal-update.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, writeAdapter, writeValues } from './support/adapters.js';
import { pathsBelow } from './support/directories.js';
import { expectedAverage } from './support/expected-average.js';
import { TestRound, type TestRoundOptions } from './support/round.js';

async function start(options: TestRoundOptions = {}): Promise<TestRound> {
  return TestRound.start(await temporaryDirectory(), options);
}

describe('sealing an update', () => {
  it('gives identical bytes for the same adapter under the same plan', async () => {
    const round = await start();
    const first = await round.seal(1);
    const bytes = await readFile(first.stored);
    const again = await round.seal(1);
    expect(first.replayed).to.equal(false);
    expect(again.replayed).to.equal(true);
    expect(again.stored).to.equal(first.stored);
    expect(await readFile(again.stored)).to.deep.equal(bytes);
    const copy = round.path('.tgu');
    expect(await copyUpdate(again.stored, copy)).to.equal(bytes.length);
    expect(await readFile(copy)).to.deep.equal(bytes);
  });

  it('gives another ciphertext for the same values from another client', async () => {
    const round = await start();
    const adapter = await round.adapter(1);
    const ciphertexts: Uint8Array[] = [];
    for (const number of [1, 2]) {
      const container = await openContainer((await round.seal(number, { adapter })).stored, 'update');
      ciphertexts.push(await container.readSection('ciphertext'));
      await container.close();
    }
    expect(Buffer.from(ciphertexts[0] as Uint8Array)).not.to.deep.equal(
      Buffer.from(ciphertexts[1] as Uint8Array),
    );
  });

  it('refuses the delta under another plan until a close record does not list it', async () => {
    const round = await start();
    await round.seal(1);
    const next = await round.next();
    await expectRefusal('client.delta-consumed', () => next.seal(1));
    const samePlanAgain = await round.next({ round: 1, seed: new Uint8Array(32) });
    await expectRefusal('client.delta-consumed', () => samePlanAgain.seal(1));
    expect(await round.close([1])).to.equal('not-opened');
    expect((await next.seal(1)).replayed).to.equal(false);
    await expectRefusal('client.round-closed', () => round.seal(1));
  });

  it('refuses the delta for ever once a close record lists it, and gives the averaged file until then', async () => {
    const round = await start();
    const aggregate = await round.aggregate(await round.sealAll());
    const { stored } = await round.seal(1);
    const bytes = await readFile(stored);
    await round.open(aggregate, await round.answers(aggregate, [1, 2]));
    const again = await round.seal(1);
    expect(again.replayed).to.equal(true);
    expect(await readFile(again.stored)).to.deep.equal(bytes);
    expect(await round.close([1], aggregate)).to.equal('opened');
    for (const number of [2, 3]) {
      const later = await round.next({ round: number });
      await expectRefusal('client.delta-consumed', () => later.seal(1));
    }
    // Nobody needs the file any more.
    await expectRefusal('client.round-closed', () => round.seal(1));
    expect(existsSync(stored)).to.equal(false);
    round.end();
  });

  it('refuses a second delta under the plan', async () => {
    const round = await start();
    await round.seal(1);
    const other = await writeAdapter(join(round.directory, 'other'), 'other');
    await expectRefusal('client.round-already-sealed', () => round.seal(1, { adapter: other }));
  });

  it('seals before the deadline only', async () => {
    const round = await start({ plan: { deadline: 1_000_000 } });
    await expectRefusal('plan.deadline-passed', () => round.seal(1, { now: 1_000_001 }));
    expect(await pathsBelow(join(round.directory, 'client-1', 'sealed'))).to.deep.equal([]);
    expect((await round.seal(1, { now: 1_000_000 })).replayed).to.equal(false);
    // What was sealed in time may be fetched again at any time.
    expect((await round.seal(1, { now: 1_000_001 })).replayed).to.equal(true);
  });

  it('counts the values that it clamps', async () => {
    const round = await start();
    const trained = await adapterValues(await round.adapter(1));
    const peaks = 5;
    // Ten times the largest value of the reference is far beyond the grid, and five such are little of the norm.
    const peaked = await writeValues(join(round.directory, 'peaked'), (name, out) => {
      out.set(trained.get(name) as Float32Array);
      if (name.endsWith('q_proj.lora_A.weight')) out.fill(0.25, 0, peaks);
    });
    const { report } = await round.seal(1, { adapter: peaked });
    const { saturated } = await expectedAverage(round.plan, { adapters: [peaked] });
    expect(saturated[0]?.least).to.equal(peaks);
    expect(report).to.deep.include({ values: 2304, saturatedValues: peaks });
    expect((await round.seal(2)).report?.saturatedValues).to.equal(0);
  });

  it('says in a dry run what sealing would come to, and leaves nothing behind', async () => {
    const round = await start();
    const adapter = await round.adapter(1);
    const report = await round.asClient(1, (client) => dryRunSeal({ client, plan: round.plan, adapter }));
    expect(await pathsBelow(join(round.directory, 'client-1', 'sealed'))).to.deep.equal([]);
    expect(report.originalBytes).to.equal(4 * 2304);
    const other = await round.next();
    // Had the dry run claimed the delta, this plan could not have it.
    const sealed = await other.seal(1);
    expect(sealed.report).to.deep.include({
      values: report.values,
      sealedBytes: report.sealedBytes,
      keptNorm: report.keptNorm,
      clipFactor: report.clipFactor,
    });
    const container = await openContainer(sealed.stored, 'update');
    expect(container.sectionLength('ciphertext') + container.sectionLength('shares')).to.equal(
      report.sealedBytes,
    );
    expect(container.sizeBytes).to.be.at.most(round.roster.body.maxUpdateBytes);
    await container.close();
  });
});

describe('an adapter that is not the planned one', () => {
  let round: TestRound;

  before(async () => {
    round = await start();
  });

  for (const [what, config] of [
    ['another rank', { r: 8 }],
    ['another alpha', { lora_alpha: 16 }],
    ['other modules', { target_modules: ['q_proj'] }],
    ['rank-stabilized scaling', { use_rslora: true }],
    ['DoRA', { use_dora: true }],
    ['a rank of its own for one module', { rank_pattern: { q_proj: 2 } }],
    ['modules saved whole', { modules_to_save: ['classifier'] }],
  ] as const) {
    it(`is refused for ${what}`, async () => {
      const adapter = await writeAdapter(round.path('-adapter'), 'client 1', { config });
      await expectRefusal('adapter.other-config', () => round.seal(1, { adapter }));
      expect(await pathsBelow(join(round.directory, 'client-1', 'sealed'))).to.deep.equal([]);
    });
  }

  it('is refused for tensors of another type', async () => {
    const adapter = await writeAdapter(round.path('-adapter'), 'client 1', { dtype: 'F16' });
    const error = await expectRefusal('adapter.other-schema', () => round.seal(1, { adapter }));
    expect(error.message).to.include('F16').and.to.include('F32');
  });

  it('is refused as the base as well', async () => {
    const base = await writeAdapter(round.path('-adapter'), 'base', { config: { lora_alpha: 16 } });
    await expectRefusal('adapter.other-config', () => round.seal(1, { base }));
  });

  it('is not made of what PEFT leaves to chance: the order of modules, absence for nothing', async () => {
    const config = { target_modules: ['v_proj', 'q_proj'], modules_to_save: null, rank_pattern: {} };
    const adapter = await writeAdapter(round.path('-adapter'), 'client 1', { config });
    expect((await round.seal(1, { adapter })).replayed).to.equal(false);
  });
});

describe('a client that the roster does not know as it is', () => {
  it('is refused before anything is claimed: unknown, suspended, revoked, or with another key', async () => {
    const round = await start();
    const { roster, plan } = round;
    const adapter = await round.adapter(1);
    const refused = async (code: string, changed: object, id = 'client-1'): Promise<void> => {
      const clients = roster.body.clients.map((entry) =>
        entry.id === 'client-1' ? { ...entry, ...changed } : entry,
      );
      const other = { ...plan, roster: { ...roster, body: { ...roster.body, clients } } };
      await round.asClient(1, (client) =>
        expectRefusal(code, () => dryRunSeal({ client: { ...client, id }, plan: other, adapter })),
      );
    };
    await refused('roster.unknown-client', {}, 'client-9');
    await refused('roster.client-suspended', { status: 'suspended' });
    await refused('roster.client-revoked', { status: 'revoked' });
    await refused('roster.not-this-key', { keys: round.client(2).signing.publicKeys });
  });
});

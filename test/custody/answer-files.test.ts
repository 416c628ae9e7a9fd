import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { answerFiles, type FilesToAnswer } from '../../lib/custody/answer-files.js';
import { openCustodian } from '../../lib/custody/custodian-directory.js';
import { KeyStore } from '../../lib/custody/keys/key-store.js';
import { REFUSALS_A_WINDOW } from '../../lib/custody/keys/refusals.js';
import { succeed } from '../cli/support/command.js';
import { copyOfSmallRound } from '../cli/support/small-round.js';
import { expectRefusal } from '../support/refusals.js';

describe('a custodian that is given files', function () {
  this.timeout(60_000);

  let cwd = '';
  const at = (name: string): string => join(cwd, name);
  /** It has answered for no round. */
  const home = (): string => at('fleet/custodians/custodian-4');

  before(async () => {
    cwd = await copyOfSmallRound();
    for (const [of, to] of [
      ['R.tgp', 'forged.tgp'],
      ['A.tga', 'forged.tga'],
    ] as const) {
      const bytes = await readFile(at(of));
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
      await writeFile(at(to), bytes);
    }
    await writeFile(at('nothing.tga'), 'no aggregate');
  });

  async function ask(files: Partial<FilesToAnswer>) {
    const opened = await openCustodian(home());
    try {
      return await answerFiles(opened, { plan: at('R.tgp'), aggregate: at('A.tga'), ...files });
    } finally {
      opened.close();
    }
  }

  async function entriesAfter(sequence: number) {
    const store = await KeyStore.open(home());
    try {
      return store.vault.trail.entries(sequence);
    } finally {
      store.close();
    }
  }

  async function length(): Promise<number> {
    return (await entriesAfter(0)).length;
  }

  it('has a forged plan and a malformed aggregate on its trail when it has refused them, and unwrapped no KEM key', async () => {
    const cases: [files: Partial<FilesToAnswer>, file: string][] = [
      [{ plan: at('forged.tgp') }, 'plan'],
      [{ plan: Buffer.from('no plan') }, 'plan'],
      [{ aggregate: at('nothing.tga') }, 'aggregate'],
    ];
    for (const [files, file] of cases) {
      const before = await length();
      const error = await ask(files).then(
        () => expect.fail('it answered'),
        (thrown: { code: string }) => thrown,
      );
      const [unwrapped, refused, ...others] = await entriesAfter(before);
      expect(unwrapped).to.include({ kind: 'unwrap', key: 'signing' });
      expect(refused).to.include({ kind: 'refuse' });
      expect(refused?.detail).to.include({ code: error.code, file });
      expect(error.code).to.match(/^container\./);
      expect(others).to.deep.equal([]);
    }
  });

  it('names the round of a changed aggregate, whose plan it has verified', async () => {
    const before = await length();
    await expectRefusal('container.digest-mismatch', () => ask({ aggregate: at('forged.tga') }));
    const refused = (await entriesAfter(before)).filter(({ kind }) => kind === 'refuse');
    expect(refused).to.have.length(1);
    expect(refused[0]?.detail['round']).to.be.a('string');
    expect(refused[0]?.detail['plan']).to.match(/^[0-9a-f]{64}$/);
  });

  it('does not let a flood of forged files fill its disk', async () => {
    const before = await length();
    for (let i = 0; i < 3 * REFUSALS_A_WINDOW; i += 1) {
      await ask({ plan: at('forged.tgp') }).catch(() => undefined);
    }
    // Each that is recorded costs the unwrapping of the key that signs it; the others cost nothing.
    expect((await length()) - before).to.be.at.most(2 * REFUSALS_A_WINDOW);
    const full = await length();
    await ask({ plan: at('forged.tgp') }).catch(() => undefined);
    expect(await length()).to.equal(full);
  });

  it('records no refusal for a file that is not there', async () => {
    const before = await length();
    await expectRefusal('container.unreadable', () => ask({ aggregate: at('missing.tga') }));
    expect(await length()).to.equal(before);
  });

  it('unwraps its KEM key for the first answer alone, and gives the same bytes again', async () => {
    const before = await length();
    const first = await ask({});
    const kinds = (await entriesAfter(before)).map(({ kind, key }) => `${kind} ${key ?? ''}`.trim());
    expect(kinds).to.deep.equal(['unwrap signing', 'unwrap kem-1', 'answer']);
    const answered = await length();
    const again = await ask({
      epochKey: async () => {
        throw new Error('a key was unlocked');
      },
    });
    expect(again.replayed).to.equal(true);
    expect(Buffer.from(again.answer).equals(first.answer)).to.equal(true);
    expect(await length()).to.equal(answered);
  });

  it('gives it again while the key is compromised, and not while it is suspended', async () => {
    const move = async (to: 'suspended' | 'active' | 'compromised'): Promise<void> => {
      const store = await KeyStore.open(home());
      await store.transition('kem-1', to, 'test');
      store.close();
    };
    await move('suspended');
    await expectRefusal('key.state-refuses', () => ask({}));
    await move('active');
    await move('compromised');
    expect((await ask({})).replayed).to.equal(true);
  });

  it('gives no answer again for an epoch below the floor of a restored key store', async () => {
    const store = await KeyStore.open(home());
    await store.raiseEpochFloor(2, 'imported');
    store.close();
    await expectRefusal('key.epoch-refused', () => ask({}));
    await succeed(['keys', 'audit', 'verify', '--role', 'fleet/custodians/custodian-4'], { cwd });
  });
});

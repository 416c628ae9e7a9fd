/**
 * Four custodians, any three of whom open a round, each with its keys behind something else; through the commands alone.
 * The tests go on from one another: a round, a client that deals badly, a rotation, break-glass.
 */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { loadPeftAdapter } from '../../lib/adapter/peft.js';
import { perturbAdapter } from '../../lib/adapter/synthetic.js';
import { openRole } from '../../lib/custody/role-directory.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { writeWrapperConfig } from '../../lib/custody/wrappers/wrapper-config.js';
import { documentOf, type Ended, refusalOf, tensorguardEach } from '../cli/support/command.js';
import {
  adapterDirectory,
  clientDirectory,
  clientId,
  writeSmallAdapters,
} from '../cli/support/small-round.js';
import { commandWrapper } from '../custody/keys/support/stores.js';
import { createToken, requireSoftHsm, type SoftHsmToken } from '../custody/wrappers/support/softhsm.js';
import { craftUpdate } from '../round/support/forgery.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

type Document = Record<string, unknown>;

const CUSTODIANS = [1, 2, 3, 4];
/** Every three of the four. */
const SUBSETS = CUSTODIANS.map((absent) => CUSTODIANS.filter((index) => index !== absent));

const home = (index: number): string => `fleet/custodians/custodian-${index}`;
const answerFile = (round: number, index: number): string => `S${round}-${index}.tgs`;
const role = (index: number): string[] => ['--role', home(index)];
const planOf = (round: number): string[] => ['--plan', `R${round}.tgp`];

function answerCommand(round: number, index: number): string[] {
  return [
    ...['custodian', 'answer', `A${round}.tga`, ...planOf(round), '--custodian', home(index)],
    ...['--out', answerFile(round, index)],
  ];
}

function openCommand(round: number, answering: readonly number[], out: string): string[] {
  return [
    ...['open', `A${round}.tga`, ...planOf(round), '--owner', 'fleet/owner', '--answers'],
    ...answering.map((index) => answerFile(round, index)),
    ...['--out', out],
  ];
}

function planCommand(round: number): string[] {
  return [
    'plan',
    '--fleet',
    'fleet',
    '--like',
    'adapters/start',
    '--round',
    String(round),
    '--out',
    `R${round}.tgp`,
  ];
}

/** Client `number` seals what `trained` trained: another delta for every round. */
function sealCommand(round: number, number: number, trained: string): string[] {
  return [
    ...['seal', trained, ...planOf(round), '--client', clientDirectory(number)],
    ...['--out', `updates-${round}/${number}.tgu`],
  ];
}

function aggregateCommand(round: number): string[] {
  return [
    ...['aggregate', `updates-${round}`, ...planOf(round), '--aggregator', 'fleet/aggregator'],
    ...['--strict', '--out', `A${round}.tga`],
  ];
}

describe('threshold custody: four custodians, any three of whom open', function () {
  this.timeout(120_000);

  let cwd = '';
  let token: SoftHsmToken;
  let environmentBefore: string | undefined;
  const path = (name: string): string => join(cwd, name);

  const each = (commands: readonly (readonly string[])[]): Promise<Ended[]> =>
    tensorguardEach(
      commands.map((args) => [...args, '--json']),
      { cwd, env: token.env },
    );

  /** Runs commands that must all succeed, and gives what they printed. */
  async function run(
    ...commands: readonly (readonly string[])[]
  ): Promise<(Document & { stderr: string })[]> {
    return (await each(commands)).map((ended, i) => {
      expect(ended.exitCode, `${commands[i]?.join(' ')}\n${ended.stdout}${ended.stderr}`).to.equal(0);
      return { ...documentOf(ended), stderr: ended.stderr };
    });
  }

  /** Runs a command that must be refused with this code; its message. */
  async function refuse(code: string, args: readonly string[]): Promise<string> {
    const [ended] = await each([args]);
    return refusalOf(args, ended as Ended, { exitCode: 1, code });
  }

  async function keysOf(index: number): Promise<Record<string, string>> {
    const [{ keys }] = (await run(['keys', 'list', ...role(index)])) as unknown as [
      { keys: { name: string; state: string }[] },
    ];
    return Object.fromEntries(keys.map(({ name, state }) => [name, state]));
  }

  async function trailOf(index: number): Promise<{ kind: string; key: string | null; detail: Document }[]> {
    const [{ entries }] = (await run(['keys', 'audit', 'show', ...role(index)])) as unknown as [
      { entries: { kind: string; key: string | null; detail: Document }[] },
    ];
    return entries;
  }

  /** A round of clients 1 to 3 up to its aggregate. */
  async function prepareRound(round: number, trained = adapterDirectory): Promise<void> {
    await run(
      planCommand(round),
      ...[1, 2, 3].map((number) => sealCommand(round, number, trained(number))),
      aggregateCommand(round),
    );
  }

  /** Adapters that nobody has sealed yet. */
  async function trainAnew(round: number): Promise<(number: number) => string> {
    const name = (number: number): string => `adapters/round-${round}-${number}`;
    for (const number of [1, 2, 3]) {
      await perturbAdapter(path('adapters/start'), path(name(number)), { seed: name(number) });
    }
    return name;
  }

  /** The largest difference between what was opened and the plain average, over the largest value of that. */
  async function relativeError(opened: string, trained: (number: number) => string): Promise<number> {
    const values = async (directory: string): Promise<Float64Array> => {
      const { tensors } = await loadPeftAdapter(path(directory));
      const all: number[] = [];
      for (const name of [...tensors.names].sort()) {
        const tensor = new Float32Array(tensors.info(name).elementCount);
        await tensors.readTensor(name, tensor);
        all.push(...tensor);
      }
      await tensors.close();
      return Float64Array.from(all);
    };
    const found = await values(opened);
    const each = await Promise.all([1, 2, 3].map((number) => values(trained(number))));
    const average = found.map((_, i) => each.reduce((sum, one) => sum + (one[i] as number), 0) / each.length);
    const error = found.map((value, i) => Math.abs(value - (average[i] as number)));
    return Math.max(...error) / Math.max(...average.map(Math.abs));
  }

  before(async function () {
    requireSoftHsm(this);
    environmentBefore = process.env['SOFTHSM2_CONF'];
    cwd = await temporaryDirectory();
    token = await createToken(cwd);
    await writeSmallAdapters(cwd);
    await writeWrapperConfig(path('wrapper.json'), await commandWrapper('kms'));
    for (const index of [3, 4]) {
      await writeFile(path(`passphrase-${index}`), `a passphrase of custodian ${index}\n`, { mode: 0o600 });
    }
    const hsm = [
      ...['--module', token.module, '--token', token.tokenLabel, '--key-label', 'custody'],
      ...['--pin-file', token.pinFile],
    ];
    const rewrap = (index: number, kind: string, ...options: string[]): string[] => [
      ...['keys', 'rewrap', ...role(index), '--wrapper', kind, ...options],
    ];
    await run(
      ['fleet', 'init', 'fleet', '--clients', '4', '--params', 'lwe-128'],
      ['keys', 'create-wrapping-key', ...hsm],
      rewrap(1, 'pkcs11', ...hsm),
      rewrap(2, 'command', '--wrapper-config', 'wrapper.json'),
      ...[3, 4].map((index) => rewrap(index, 'passphrase', '--passphrase-file', `passphrase-${index}`)),
    );
    await prepareRound(1);
    await run(...CUSTODIANS.map((index) => answerCommand(1, index)));
  });
  after(() => {
    if (environmentBefore === undefined) delete process.env['SOFTHSM2_CONF'];
    else process.env['SOFTHSM2_CONF'] = environmentBefore;
  });

  it('has one behind an HSM, one behind an external program and two behind passphrases', async () => {
    const wrappers = await run(...CUSTODIANS.map((index) => ['keys', 'list', ...role(index)]));
    const kinds = wrappers.map(({ keys }) =>
      (keys as { wrapper: string }[]).map(({ wrapper }) => wrapper.split(':')[0]),
    );
    expect(kinds).to.deep.equal([
      ['pkcs11', 'pkcs11'],
      ['command', 'command'],
      ['passphrase', 'passphrase'],
      ['passphrase', 'passphrase'],
    ]);
  });

  it('opens with any three, to the average', async () => {
    const opened = await run(
      ...SUBSETS.map((subset) => openCommand(1, subset, `average-${subset.join('')}`)),
    );
    for (const { answers, contributors, disagreeing } of opened) {
      expect({ answers, contributors, disagreeing }).to.deep.equal({
        answers: 3,
        contributors: 3,
        disagreeing: [],
      });
    }
    const files = await Promise.all(
      SUBSETS.map((subset) => readFile(path(`average-${subset.join('')}/adapter_model.safetensors`))),
    );
    for (const file of files) expect(file.equals(files[0] as Buffer)).to.equal(true);
    expect(await relativeError('average-123', adapterDirectory)).to.be.below(0.02);
  });

  it('does not open with two, nor with one of them twice', async () => {
    for (const pair of [
      [1, 2],
      [1, 3],
      [1, 4],
      [2, 3],
      [2, 4],
      [3, 4],
    ]) {
      await refuse('open.too-few-answers', openCommand(1, pair, 'nothing'));
    }
    await refuse('open.duplicate-answer', openCommand(1, [1, 2, 2], 'nothing'));
    await readFile(path('nothing/adapter_model.safetensors')).then(
      () => expect.fail('two custodians opened a round'),
      (error: NodeJS.ErrnoException) => expect(error.code).to.equal('ENOENT'),
    );
  });

  it('outvotes and names the custodian whose share of one client is broken, where all four answer', async () => {
    await run(planCommand(2), sealCommand(2, 1, adapterDirectory(2)), sealCommand(2, 2, adapterDirectory(3)));
    const client = await openRole(path(clientDirectory(4)), 'client');
    const { store, signing, roster } = client;
    const bad = await craftUpdate(
      await readTrustedPlan(path('R2.tgp'), roster),
      { id: clientId(4), signing, prf: await store.prf() },
      { badShareFor: [2] },
    );
    client.close();
    await writeFile(path('updates-2/4.tgu'), bad);
    await run(aggregateCommand(2), ...CUSTODIANS.map((index) => answerCommand(2, index)));

    const [opened] = await run(openCommand(2, CUSTODIANS, 'outvoted'));
    expect(opened).to.deep.include({ contributors: 3, answers: 4, disagreeing: ['custodian-2'] });
    expect(opened?.stderr).to.include('custodian-2').and.to.include('or a client dealt badly to it');
    // Three that leave it out agree, three that have it in do not, and cannot say whose it is.
    await run(openCommand(2, [1, 3, 4], 'without'));
    await refuse('open.secret-sum-out-of-range', openCommand(2, [1, 2, 3], 'nothing'));
  });

  it('leaves a whole trail with every custodian, of what it unwrapped and answered', async () => {
    for (const index of CUSTODIANS) {
      const [verified] = await run(['keys', 'audit', 'verify', ...role(index)]);
      const entries = await trailOf(index);
      expect(verified?.['entries']).to.be.at.least(entries.length - 1);
      const acts = entries.filter(
        ({ kind, key }) => kind === 'answer' || (kind === 'unwrap' && key === 'kem-1'),
      );
      // The first unwrapping was for wrapping it anew, before it served.
      expect(acts.map(({ kind }) => kind)).to.deep.equal(['unwrap', 'unwrap', 'answer', 'unwrap', 'answer']);
      const rounds = acts.slice(1).map(({ detail }) => detail['round'] ?? detail['what']);
      expect(rounds[0]).to.equal(rounds[1]);
      expect(new Set(rounds).size).to.equal(2);
    }
  });

  it('shows against an exported head that the end of a trail was cut off', async () => {
    const [head] = await run(['keys', 'audit', 'head', ...role(3), '--out', 'head.json']);
    const [whole] = await run(['keys', 'audit', 'verify', ...role(3), '--head', 'head.json']);
    expect(whole).to.deep.include({ entries: head?.['entries'], head: head?.['head'], heads: 1 });
    await cp(path(home(3)), path('cut'), { recursive: true });
    const database = new Database(path('cut/keystore.sqlite'));
    database.prepare('DELETE FROM audit_entry WHERE sequence = ?').run(head?.['entries']);
    database.close();
    await run(['keys', 'audit', 'verify', '--role', 'cut']);
    const verify = ['keys', 'audit', 'verify', '--role', 'cut', '--head', 'head.json'];
    const message = await refuse('audit.bad-entry', verify);
    expect(message).to.include(`entry ${head?.['entries']}`).and.to.include('cut off');
    // Each trail has its own head: another custodian's says nothing about this one.
    const other = ['keys', 'audit', 'verify', ...role(4), '--head', 'head.json'];
    expect(await refuse('audit.bad-entry', other)).to.include('of another id');
  });

  describe('after a rotation', () => {
    const everyone = [
      ...['fleet/coordinator', 'fleet/aggregator', ...CUSTODIANS.map(home)],
      ...[1, 2, 3].map(clientDirectory),
    ];
    const joining = (roster: string, members: readonly string[] = everyone): string[][] =>
      members.map((member) => ['fleet', 'join', member, '--roster', roster]);

    before(async () => {
      // Planned and sealed before; answered, aggregated even, after.
      const trained = await trainAnew(3);
      await run(planCommand(3), ...[1, 2, 3].map((number) => sealCommand(3, number, trained(number))));
      const rotated = await run(...CUSTODIANS.map((index) => ['keys', 'rotate', ...role(index)]));
      for (const document of rotated) {
        expect(document).to.deep.include({ made: true, key: 'kem-2', epoch: 2, state: 'pre-activation' });
      }
      const enrolments = CUSTODIANS.map((index) => `${home(index)}/enrolment.tge`);
      await refuse('enrolment.custodians-missing', [
        ...['fleet', 'enroll', ...enrolments.slice(1), '--owner', 'fleet/owner', '--out', 'roster-2.tgo'],
      ]);
      await run(
        [
          ...['fleet', 'enroll', ...enrolments, '--owner', 'fleet/owner', '--rotate-owner-key'],
          ...['--out', 'roster-2.tgo'],
        ],
        ...joining('roster-2.tgo'),
      );
    });

    it('has another key of the owner, whose earlier one still opens what was planned before', async () => {
      const [owner] = await run(['keys', 'list', '--role', 'fleet/owner']);
      const keys = owner?.['keys'] as { name: string; state: string }[];
      expect(Object.fromEntries(keys.map(({ name, state }) => [name, state]))).to.deep.equal({
        'kem-1': 'deactivated',
        'kem-2': 'active',
        signing: 'active',
      });
    });

    it('has the new key active and the old one deactivated', async () => {
      for (const index of CUSTODIANS) {
        expect(await keysOf(index)).to.deep.equal({
          'kem-1': 'deactivated',
          'kem-2': 'active',
          signing: 'active',
        });
      }
    });

    it('opens a round that was planned and sealed before it', async () => {
      await run(
        aggregateCommand(3),
        ...[1, 2, 3].map((index) => answerCommand(3, index)),
        openCommand(3, [1, 2, 3], 'average-overlap'),
      );
      expect(await relativeError('average-overlap', (number) => `adapters/round-3-${number}`)).to.be.below(
        0.02,
      );
    });

    it('opens a round of the new epoch', async () => {
      await prepareRound(4, await trainAnew(4));
      const [plan] = await run(['inspect', 'R4.tgp']);
      expect(plan?.['body']).to.deep.include({ keyEpoch: 2 });
      await run(
        ...[2, 3, 4].map((index) => answerCommand(4, index)),
        openCommand(4, [2, 3, 4], 'average-new'),
      );
      expect(await relativeError('average-new', (number) => `adapters/round-4-${number}`)).to.be.below(0.02);
      expect((await trailOf(2)).at(-2)).to.include({ kind: 'unwrap', key: 'kem-2' });
    });

    it('opens no round of the old epoch once the owner says that all of them are closed', async () => {
      await run(
        ['fleet', 'enroll', '--oldest-open-epoch', '2', '--owner', 'fleet/owner', '--out', 'roster-3.tgo'],
        ...joining('roster-3.tgo'),
      );
      for (const index of CUSTODIANS) {
        expect(await keysOf(index)).to.deep.equal({
          'kem-1': 'destroyed',
          'kem-2': 'active',
          signing: 'active',
        });
        await refuse('custodian.no-epoch-key', answerCommand(3, index));
      }
      await run(...CUSTODIANS.map((index) => ['keys', 'audit', 'verify', ...role(index)]));
    });

    describe('and in break-glass', () => {
      const glass = (shares: readonly string[], key = 'kem-2'): string[] => [
        ...['keys', 'break-glass', 'answer', 'A5.tga', ...planOf(5), '--custodian', home(2), '--key', key],
        ...[
          '--reason',
          'the KMS is gone',
          '--shares',
          ...shares.map((name) => `shares/custodian-2.${name}.share.json`),
        ],
        ...['--out', answerFile(5, 2)],
      ];
      const openUses = async (): Promise<Document[]> => {
        const [status] = await run(['keys', 'status', ...role(2)]);
        return status?.['breakGlass'] as Document[];
      };

      before(async () => {
        await run(
          [
            ...[
              'keys',
              'break-glass',
              'init',
              ...role(2),
              '--officers',
              'ada,grace,emmy',
              '--threshold',
              '2',
            ],
            ...['--out', 'shares'],
          ],
          ['keys', 'compromise', 'kem-2', ...role(2), '--reason', 'its disk was copied'],
        );
        await prepareRound(5, await trainAnew(5));
        await run(answerCommand(5, 1), answerCommand(5, 3));
      });

      it('refuses the ordinary answer of a compromised key, and one with too few officers or another key', async () => {
        await refuse('key.state-refuses', answerCommand(5, 2));
        await refuse('open.too-few-answers', openCommand(5, [1, 3], 'nothing'));
        await refuse('break-glass.too-few-shares', glass(['ada']));
        await refuse('break-glass.other-key', glass(['ada', 'grace'], 'kem-1'));
        expect(await openUses()).to.deep.equal([]);
      });

      it('replaces the key although its answer cannot be written: it was out', async () => {
        await cp(join(cwd, home(2)), join(cwd, home(9)), { recursive: true });
        const args = glass(['ada', 'emmy']).map((arg) => {
          if (arg === home(2)) return home(9);
          return arg === answerFile(5, 2) ? 'A5.tga/S.tgs' : arg;
        });
        const [ended] = await each([args]);
        expect(ended?.exitCode, ended?.stderr).to.equal(1);
        expect(ended?.stderr).to.include('kem-3 is made');
        expect(await keysOf(9)).to.include({ 'kem-2': 'compromised', 'kem-3': 'pre-activation' });
      });

      it('answers with two officers, as one custodian of the three that it takes', async () => {
        const [answered] = await run(glass(['ada', 'emmy']));
        expect(answered).to.deep.include({ custodian: 'custodian-2', contributors: 3, rotatedTo: 'kem-3' });
        expect(answered?.stderr).to.include('compromised').and.to.include('keys break-glass close');
        await run(openCommand(5, [1, 2, 3], 'average-glass'));
        expect(await relativeError('average-glass', (number) => `adapters/round-5-${number}`)).to.be.below(
          0.02,
        );
        expect(await keysOf(2)).to.deep.equal({
          'kem-1': 'destroyed',
          'kem-2': 'compromised',
          'kem-3': 'pre-activation',
          signing: 'active',
        });
        const entries = await trailOf(2);
        const order = ['break-glass', 'answer', 'rotate', 'create'].map((kind) =>
          entries.map((entry) => entry.kind).lastIndexOf(kind),
        );
        expect(order).to.deep.equal([...order].sort((a, b) => a - b));
      });

      it('gives that answer again without spending another use, and opens no key for it', async () => {
        const before = (await trailOf(2)).filter(({ kind }) => kind === 'break-glass');
        const again = glass(['ada', 'emmy']).map((arg) => (arg === answerFile(5, 2) ? 'again.tgs' : arg));
        const [repeated] = await run(again);
        expect(repeated).to.deep.include({ replayed: true }).and.not.to.have.property('rotatedTo');
        expect(await readFile(path('again.tgs'))).to.deep.equal(await readFile(path(answerFile(5, 2))));
        expect(await openUses()).to.have.length(1);
        const after = (await trailOf(2)).filter(({ kind }) => kind === 'break-glass');
        expect(after).to.deep.equal(before);
      });

      it('is shown by every status until an officer closes it', async () => {
        const [use, ...others] = await openUses();
        expect(others).to.deep.equal([]);
        expect(use).to.include({ key: 'kem-2', reason: 'the KMS is gone' });
        const [lines] = await tensorguardEach(
          [
            ['keys', 'status', ...role(2)],
            ['keys', 'list', ...role(2)],
          ],
          { cwd },
        );
        expect(lines?.stdout).to.match(/^BREAK-GLASS OPEN: entry \d+, key "kem-2"/);
        await run([
          ...['keys', 'break-glass', 'close', ...role(2), '--use', String(use?.['entry'])],
          ...['--share', 'shares/custodian-2.grace.share.json', '--note', 'the disk was shredded'],
        ]);
        expect(await openUses()).to.deep.equal([]);
        const [verified] = await run(['keys', 'audit', 'verify', ...role(2)]);
        expect(verified?.['entries']).to.be.above(10);
      });
    });
  });
});

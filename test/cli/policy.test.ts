import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { succeed, tensorguard } from './support/command.js';
import { adapterDirectory, clientDirectory, writeSmallAdapters } from './support/small-round.js';
import { refuseAllUntouched, snapshot } from './support/snapshot.js';
import { temporaryDirectory } from './support/temporary-directory.js';

interface Setting {
  readonly field: string;
  readonly value: unknown;
  readonly source: string;
}

const POLICY = `
preset: balanced
training:
  keepRatio: 0.5
privacy:
  mechanism: skellam
  clip: 0.5
  epsilon: 50
  noiseMultiplier: 2
`;

describe('a fleet under a policy of its own', function () {
  this.timeout(60_000);

  let cwd = '';
  before(async () => {
    cwd = await temporaryDirectory();
    await writeSmallAdapters(cwd);
    await writeFile(join(cwd, 'ours.yaml'), POLICY);
    await succeed(['fleet', 'init', 'fleet', '--clients', '3', '--policy', 'ours.yaml'], { cwd });
    await succeed(['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R.tgp'], { cwd });
  });

  const plan = (...more: string[]): string[] => [
    ...['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--round', '2', ...more],
  ];
  const dryRun = (...more: string[]): string[] => [
    ...['seal', adapterDirectory(1), '--plan', 'R.tgp', '--client', clientDirectory(1), '--dry-run'],
    ...more,
  ];

  async function effective(
    args: readonly string[],
    env: Record<string, string>,
    field: string,
  ): Promise<Setting> {
    const { document } = await succeed(['doctor', ...args], { cwd, env });
    return (document['policy'] as Setting[]).find((setting) => setting.field === field) as Setting;
  }

  it('gives every role that acts on plans the file, to the byte', async () => {
    for (const role of ['owner', 'coordinator', 'aggregator', 'clients/client-01', 'clients/client-03']) {
      expect(await readFile(join(cwd, 'fleet', role, 'policy.yaml'), 'utf8'), role).to.equal(POLICY);
    }
  });

  it('shows in doctor what is in force and why: option before environment before file before preset', async () => {
    const role = ['--role', 'fleet/clients/client-01'];
    const keep = 'training.keepRatio';
    const environment = { TENSORGUARD_TRAINING_KEEP_RATIO: '0.25' };
    const preset = await effective([], {}, keep);
    expect(preset).to.include({ value: 1, source: 'preset balanced' });
    const file = await effective(role, {}, keep);
    expect(file.value).to.equal(0.5);
    expect(file.source).to.match(/^file .*client-01.policy\.yaml$/);
    const fromEnvironment = await effective(role, environment, keep);
    expect(fromEnvironment).to.include({
      value: 0.25,
      source: 'environment TENSORGUARD_TRAINING_KEEP_RATIO',
    });
    const option = await effective([...role, '--set', `${keep}=0.125`], environment, keep);
    expect(option).to.include({ value: 0.125, source: 'option' });
    // Another file in place of the role's own, and the rest of it.
    await writeFile(join(cwd, 'other.json'), '{"training": {"keepRatio": 0.75}}');
    const other = await effective([...role, '--policy', 'other.json'], {}, keep);
    expect(other).to.include({ value: 0.75, source: 'file other.json' });
    const mechanism = await effective([...role, '--policy', 'other.json'], {}, 'privacy.mechanism');
    expect(mechanism).to.include({ value: 'none', source: 'preset balanced' });
  });

  it('names in doctor a policy that does not hold together, and ends with 1', async () => {
    const ended = await tensorguard(['doctor', '--json', '--set', 'encryption.quorum=2'], { cwd });
    expect(ended.exitCode).to.equal(1);
    const document = JSON.parse(ended.stdout) as { ok: boolean; checks: { name: string; detail: string }[] };
    expect(document.ok).to.equal(false);
    const failed = document.checks.find(({ name }) => name === 'policy');
    expect(failed?.detail).to.include('encryption.quorum').and.include('allowQuorumOfTwo');
  });

  it('prints with plan --explain bytes, keep ratio, expected error and epsilon, and writes nothing', async () => {
    const before = await snapshot(cwd);
    const { document } = await succeed(plan('--explain'), { cwd });
    const { stdout } = await tensorguard(plan('--explain'), { cwd });
    expect(await snapshot(cwd)).to.deep.equal(before);
    expect(document).to.deep.include({
      written: null,
      keepRatio: 0.5,
      clip: 0.5,
      parameters: 640,
      values: 320,
    });
    expect(document['sealedBytes']).to.be.greaterThan(20_000);
    const privacy = document['privacy'] as Record<string, number | string>;
    expect(privacy).to.include({ mechanism: 'skellam', colluders: 1, delta: 1e-5 });
    expect(privacy['noiseMultiplier']).to.be.within(2, 2.01);
    expect(document['epsilon']).to.equal(privacy['epsilonPerRound']).and.to.be.within(1, 4);
    const expected = document['expected'] as Record<string, number>;
    expect(expected['relativeError']).to.be.within(0.6, 1);
    for (const part of [/An update: [\d.]+ [kK]/, /keep ratio 0\.5/, /Expected error .*: \d/, /epsilon \d/]) {
      expect(stdout).to.match(part);
    }
    expect(stdout).to.match(/Warning: the noise of an average/);
  });

  it('lets options of one round decide over the file', async () => {
    const options = ['--dp', 'none', '--keep', '0.25', '--bits', '3', '--no-rotation', '--clip', '0.5'];
    const { document } = await succeed(plan(...options, '--out', 'P.tgp'), { cwd });
    expect(document).to.deep.include({ keepRatio: 0.25, privacy: null, epsilon: null });
    const { document: inspected } = await succeed(['inspect', 'P.tgp'], { cwd });
    expect(inspected['body']).to.include({ rotationBlockLog2: 0, loraMode: 'average', clip: 0.5 });
    const frozen = ['--lora-mode', 'frozen-a', '--noise', '3', '--explain'];
    expect((await succeed(plan(...frozen), { cwd })).document).to.deep.include({ loraMode: 'frozen-a' });
    const experts = ['--set', 'experts=[{name: all, modules: ["**"], weight: 1}]', '--explain'];
    expect((await succeed(plan(...experts), { cwd })).document['experts']).to.deep.equal(['all']);
  });

  it('prints with seal --dry-run bytes, keep ratio, saturation and epsilon, and writes nothing', async () => {
    const before = await snapshot(cwd);
    const { document } = await succeed(dryRun(), { cwd });
    const { stdout } = await tensorguard(dryRun(), { cwd });
    expect(await snapshot(cwd)).to.deep.equal(before);
    expect(document).to.include({ written: null, values: 320, keepRatio: 0.5, overBudget: false });
    expect(document['epsilon']).to.equal(document['epsilonSpent']).and.to.be.within(1, 4);
    expect(document['clipFactor']).to.be.within(0.5, 1);
    expect(stdout)
      .to.match(/Would seal into/)
      .and.match(/keep ratio 0\.500/)
      .and.match(/epsilon \d/);
    expect(stdout).to.match(/Nothing was written/);
  });

  it('refuses a seal over its budget, or under a stricter policy, and changes nothing', async () => {
    await mkdir(join(cwd, 'empty'));
    const seal = (...more: string[]): string[] => [
      ...['seal', 'empty', '--plan', 'R.tgp', '--client', clientDirectory(1), '--out', 'U.tgu', ...more],
    ];
    const refused = { exitCode: 1 } as const;
    const usage = { exitCode: 2, code: 'usage' } as const;
    const [over] = await refuseAllUntouched(
      [
        {
          what: 'a budget below the round',
          args: seal('--set', 'privacy.epsilon=0.5', '--set', 'privacy.hardStop=true'),
          ...refused,
          code: 'policy.round-epsilon',
        },
        {
          what: 'more noise demanded',
          args: seal('--set', 'privacy.noiseMultiplier=3'),
          ...refused,
          code: 'policy.noise-multiplier',
        },
        { what: 'another clip', args: seal('--set', 'privacy.clip=1'), ...refused, code: 'policy.clip' },
        { what: 'no adapter', args: seal(), ...refused, code: 'adapter.file-missing' },
        {
          what: 'an unknown setting',
          args: seal('--set', 'privacy.epsilom=1'),
          ...refused,
          code: 'policy.unknown-field',
        },
        { what: 'no assignment', args: seal('--set', 'privacy.epsilon'), ...usage },
        { what: 'bits of one', args: plan('--bits', '1-8', '--out', 'P2.tgp'), ...usage },
        { what: 'a ratio above 1', args: plan('--keep', '1.5', '--out', 'P2.tgp'), ...usage },
        { what: 'an unknown mechanism', args: plan('--dp', 'laplace', '--out', 'P2.tgp'), ...usage },
      ],
      { cwd },
    );
    expect(over).to.include('0.5');
  });

  it('lets one robot of a site take part in a round, and counts all rounds', async () => {
    const seal = (client: number): string[] => [
      ...['seal', adapterDirectory(client), '--plan', 'R.tgp', '--client', clientDirectory(client)],
      ...['--privacy-ledger', `${clientDirectory(1)}/privacy.sqlite`, '--out', `U${client}.tgu`],
    ];
    const first = (await succeed(seal(1), { cwd })).document['epsilonSpent'] as number;
    await refuseAllUntouched(
      [{ what: 'a second robot', args: seal(2), exitCode: 1, code: 'privacy.plan-has-another-client' }],
      { cwd },
    );
    await succeed(plan('--out', 'R2.tgp'), { cwd });
    const next = seal(3).map((arg) => (arg === 'R.tgp' ? 'R2.tgp' : arg));
    expect((await succeed(next, { cwd })).document['epsilonSpent']).to.be.greaterThan(first);
  });
});

describe('fleet init with a policy', function () {
  this.timeout(60_000);

  it('refuses a file that is no policy before it makes anything', async () => {
    const cwd = await temporaryDirectory();
    await writeFile(join(cwd, 'bad.yaml'), 'training: {keepRation: 0.5}');
    await writeFile(join(cwd, 'weak.yaml'), 'encryption: {quorum: 2}');
    await writeFile(join(cwd, 'policy.txt'), 'preset: balanced');
    const init = (policy: string): string[] => [
      'fleet',
      'init',
      'fleet',
      '--clients',
      '3',
      '--policy',
      policy,
    ];
    await refuseAllUntouched(
      [
        { what: 'a misspelt field', args: init('bad.yaml'), exitCode: 1, code: 'policy.unknown-field' },
        { what: 'a contradiction', args: init('weak.yaml'), exitCode: 1, code: 'policy.contradiction' },
        { what: 'another kind of file', args: init('policy.txt'), exitCode: 1, code: 'policy.file-type' },
        { what: 'no file', args: init('none.yaml'), exitCode: 1, code: 'policy.file-unreadable' },
      ],
      { cwd },
    );
  });
});

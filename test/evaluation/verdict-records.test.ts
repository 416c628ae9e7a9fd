import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type OpenedRole, openRole } from '../../lib/custody/role-directory.js';
import type { Evaluation } from '../../lib/evaluation/evaluate-candidate.js';
import { judge } from '../../lib/evaluation/gate/gate.js';
import { type IssueOptions, VerdictRecords } from '../../lib/evaluation/verdict-records.js';
import { createSigningKey } from '../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { createFleet } from '../../lib/round/fleet.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { goodPairs, SAFETY } from './support/episodes.js';

const bytes32 = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const CANDIDATE = bytes32(1);

function evaluation(changes: Partial<Evaluation> = {}): Evaluation {
  return {
    ...judge(goodPairs(200), { safety: SAFETY, limitError: 0.0125 }),
    evaluator: 'function',
    candidate: CANDIDATE,
    baseline: bytes32(2),
    confidence: 0.95,
    limitError: 0.0125,
    looks: { made: 2, planned: 4 },
    episodes: 200,
    firstSeed: 1000,
    ...changes,
  };
}

async function fleetOwner(name: string): Promise<{ directory: string; role: OpenedRole }> {
  const fleet = join(await temporaryDirectory(), 'fleet');
  await createFleet({
    directory: fleet,
    name,
    clients: 1,
    custodians: 1,
    threshold: 1,
    parameterSet: 'lwe-192',
    quorumFloor: 2,
    maxUpdateBytes: 1_000_000,
    signatureAlgorithms: ['ed25519'],
    policyFile: { name: 'policy.yaml', text: 'preset: balanced\n' },
    defaults: {},
  });
  const directory = join(fleet, 'owner');
  return { directory, role: await openRole(directory, 'owner') };
}

describe("the owner's verdicts", function () {
  this.timeout(60_000);
  let directory: string;
  let role: OpenedRole;
  let records: VerdictRecords;

  before(async () => {
    ({ directory, role } = await fleetOwner('acme'));
  });
  after(() => role.close());

  beforeEach(async () => {
    // Its own records in each test; only the keys are shared.
    directory = await temporaryDirectory();
    records = new VerdictRecords(directory);
  });

  const issue = (changes: Partial<IssueOptions> = {}) =>
    records.issue({
      signing: role.signing,
      roster: role.roster,
      evaluation: evaluation(),
      safety: bytes32(3),
      ...changes,
    });

  it('are kept by the fingerprint of the candidate, and come back verified', async () => {
    const issued = await issue({ createdMs: 1_764_000_000_000 });
    expect(issued.kept).to.equal(join(directory, 'verdicts', `${'01'.repeat(32)}.tgv`));
    expect((await stat(issued.kept)).mode & 0o777).to.equal(0o600);
    expect(issued.file).to.deep.equal(Uint8Array.from(await readFile(issued.kept)));
    const found = await records.verdictFor(CANDIDATE, role.roster);
    expect(found?.body).to.deep.include({
      fleet: 'acme',
      candidate: CANDIDATE,
      baseline: bytes32(2),
      safety: bytes32(3),
      outcome: 'passed',
      looks: { made: 2, planned: 4 },
      attempt: 1,
      firstSeed: 1000,
    });
    expect(found?.body.metrics).to.deep.equal(evaluation().metrics);
    expect(found).to.include({ createdMs: 1_764_000_000_000 });
    expect(found?.fingerprint).to.deep.equal(issued.fingerprint);
  });

  it('are missing for an adapter that nobody evaluated', async () => {
    expect(await records.verdictFor(CANDIDATE, role.roster)).to.equal(undefined);
    await issue();
    expect(await records.verdictFor(bytes32(9), role.roster)).to.equal(undefined);
  });

  it('are not replaced by trying again', async () => {
    const first = await issue();
    await expectRefusal('verdict.exists', () => issue());
    expect((await records.verdictFor(CANDIDATE, role.roster))?.fingerprint).to.deep.equal(first.fingerprint);
  });

  it('are replaced on request: the new one says so, and the old one stays', async () => {
    const first = await issue();
    const second = await issue({ replace: true });
    const third = await issue({ replace: true });
    expect(second.body).to.deep.include({ attempt: 2, replaces: first.fingerprint });
    expect(third.body).to.deep.include({ attempt: 3, replaces: second.fingerprint });
    const name = '01'.repeat(32);
    expect((await readdir(join(directory, 'verdicts'))).sort()).to.deep.equal([
      `${name}.1.tgv`,
      `${name}.2.tgv`,
      `${name}.tgv`,
    ]);
    expect(Uint8Array.from(await readFile(join(directory, 'verdicts', `${name}.1.tgv`)))).to.deep.equal(
      first.file,
    );
    expect(Uint8Array.from(await readFile(join(directory, 'verdicts', `${name}.2.tgv`)))).to.deep.equal(
      second.file,
    );
  });

  it('survive that one was kept aside and not yet replaced', async () => {
    const first = await issue();
    await copyFile(first.kept, first.kept.replace(/\.tgv$/, '.1.tgv'));
    expect((await issue({ replace: true })).body.attempt).to.equal(2);
  });

  it('of two evaluations at once are one', async () => {
    const ended = await Promise.allSettled([issue(), issue()]);
    expect(ended.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(1);
    const refused = ended.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(refused.reason).to.have.property('code', 'verdict.exists');
  });

  it('are not those of another adapter under its name', async () => {
    const { kept } = await issue();
    await copyFile(kept, records.path(bytes32(9)));
    await expectRefusal('verdict.wrong-candidate', () => records.verdictFor(bytes32(9), role.roster));
  });

  it('are signed by the owner', async () => {
    const stranger = createSigningKey();
    await expectRefusal('roster.not-this-key', () => issue({ signing: stranger }));
    const { body } = await issue();
    const forged = await encodeContainer({ kind: 'verdict', body, sections: [], signer: stranger });
    await writeFile(records.path(CANDIDATE), containerBytes(forged));
    await expectRefusal('container.wrong-signer', () => records.verdictFor(CANDIDATE, role.roster));
  });

  it('are of the same fleet', async () => {
    const other = await fleetOwner('others');
    try {
      await issue();
      await expectRefusal('roster.other-fleet', () => records.verdictFor(CANDIDATE, other.role.roster));
    } finally {
      other.role.close();
    }
  });

  it('are refused where a byte was changed, or something else lies there', async () => {
    const { kept, file } = await issue();
    const changed = Uint8Array.from(file);
    changed[100] = (changed[100] as number) ^ 1;
    await writeFile(kept, changed);
    const refused = await records.verdictFor(CANDIDATE, role.roster).catch((error: unknown) => error);
    expect(refused)
      .to.have.property('code')
      .that.matches(/^(container|cbor)\./);
    await mkdir(records.path(bytes32(8)));
    await expectRefusal('container.not-a-file', () => records.verdictFor(bytes32(8), role.roster));
  });
});

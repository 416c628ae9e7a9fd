import { expect } from 'chai';
import { native } from '../../lib/native.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { documentOf, succeed, tensorguard } from './support/command.js';
import { snapshot } from './support/snapshot.js';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

const KNOWN = ['scalar', 'avx2', 'avx512', 'neon'];

describe('doctor', function () {
  this.timeout(60_000);

  it('finds everything in order, and writes nothing', async () => {
    const cwd = await temporaryDirectory();
    const { document, stderr } = await succeed(['doctor'], { cwd });
    expect(document['ok']).to.equal(true);
    const checks = document['checks'] as Check[];
    expect(checks.filter(({ ok }) => !ok)).to.deep.equal([]);
    expect(checks.map(({ name }) => name)).to.include.members(['node', 'native addon', 'ledger database']);
    expect(stderr).to.equal('');
    expect(await snapshot(cwd)).to.deep.equal({});
  });

  it('names the instruction set that was forced', async () => {
    const cwd = await temporaryDirectory();
    const { document } = await succeed(['doctor'], { cwd, env: { TENSORGUARD_FORCE_ISA: 'scalar' } });
    expect(document['environment']).to.include({ TENSORGUARD_FORCE_ISA: 'scalar' });
    const addon = (document['checks'] as Check[]).find(({ name }) => name === 'native addon');
    expect(addon?.detail).to.match(/^scalar \(this machine runs scalar/);
  });

  it('takes an empty TENSORGUARD_FORCE_ISA for one that is not set', async () => {
    const cwd = await temporaryDirectory();
    const { document } = await succeed(['doctor'], { cwd, env: { TENSORGUARD_FORCE_ISA: '' } });
    const addon = (document['checks'] as Check[]).find(({ name }) => name === 'native addon');
    const fastest = native().supportedInstructionSets.at(-1) as string;
    expect(addon?.detail.startsWith(`${fastest} `)).to.equal(true);
  });

  const unsupported = KNOWN.find((isa) => !native().supportedInstructionSets.includes(isa)) as string;
  for (const [isa, reason] of [
    ['bogus', 'not an instruction set known here'],
    // No machine has both AVX and NEON, so that one of these is always missing; where it was not
    // compiled in, it is not known either.
    [unsupported, '(does not support|not an instruction set known here)'],
  ] as const) {
    it(`ends with 1 and says why where TENSORGUARD_FORCE_ISA is ${isa}`, async () => {
      const cwd = await temporaryDirectory();
      const env = { TENSORGUARD_FORCE_ISA: isa };
      const [ended, lines] = await Promise.all([
        tensorguard(['doctor', '--json'], { cwd, env }),
        tensorguard(['doctor'], { cwd, env }),
      ]);
      expect(ended.exitCode).to.equal(1);
      const document = documentOf(ended);
      expect(document['ok']).to.equal(false);
      const failed = (document['checks'] as Check[]).filter(({ ok }) => !ok);
      expect(failed.map(({ name }) => name)).to.deep.equal(['native addon']);
      expect(failed[0]?.detail).to.match(
        new RegExp(`^TENSORGUARD_FORCE_ISA is "${isa}".*${reason}.*unset it, or set it to one of: scalar`),
      );
      expect(lines.exitCode).to.equal(1);
      expect(lines.stdout).to.match(/^FAIL {2}native addon: TENSORGUARD_FORCE_ISA/m);
    });
  }
});

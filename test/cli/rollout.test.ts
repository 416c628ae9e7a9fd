import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { StoredTokens } from '../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../lib/server/auth/tokens.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { type TestRelease, TestReleases } from '../server/support/test-releases.js';
import { documentOf, tensorguard } from './support/command.js';

describe('rollout', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let second: TestRelease;
  const tokens: string[] = [];
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    const { context } = await fleet.start();
    const releases = new TestReleases(fleet);
    const first = await releases.released('first');
    second = await releases.released('second');
    await releases.evaluated(second, first);
    const bearer = new BearerTokens(new StoredTokens(context.store.state));
    for (const role of ['operator', 'viewer'] as const) {
      tokens.push((await bearer.create(role, role, 1)).token);
      await writeFile(fleet.at(`${role}.token`), `${tokens.at(-1)}\n`, { mode: 0o600 });
    }
  });
  after(() => fleet.stop());

  async function rollout(args: readonly string[], role = 'operator') {
    const server = ['--server', fleet.service.address, '--token-file', fleet.at(`${role}.token`)];
    const ended = await tensorguard(['rollout', ...args, ...server, '--json'], { cwd: fleet.directory });
    for (const token of tokens) expect(ended.stdout + ended.stderr).to.not.contain(token);
    const { error, ...document } = documentOf(ended) as { error?: { code: string } } & Record<
      string,
      unknown
    >;
    return { exitCode: ended.exitCode, code: error?.code, ...document };
  }

  it('starts, is looked at, decided about with what was seen, and goes back only where that is confirmed', async () => {
    const steps = ['--canary', '20', '--steps', '50', '--minimum-seconds', '600'];
    expect(await rollout(['start', '2', ...steps], 'viewer')).to.include({
      exitCode: 1,
      code: 'auth.forbidden',
    });
    expect(await rollout(['start', '2', ...steps])).to.deep.include({
      ...{ exitCode: 0, phase: 'canary', steps: 3, step: { index: 0, percent: 20 } },
    });
    expect(await rollout(['status'], 'viewer')).to.include({ exitCode: 0, rollout: 2, phase: 'canary' });
    expect(await rollout(['pause'])).to.include({ phase: 'paused', reason: 'operator' });
    expect(await rollout(['resume', '2'])).to.include({ phase: 'canary' });
    expect(await rollout(['promote'])).to.deep.include({
      phase: 'progressing',
      step: { index: 1, percent: 50 },
    });
    expect(await rollout(['rollback'])).to.include({ exitCode: 2, code: 'usage.confirm' });
    expect(await rollout(['status'])).to.include({ phase: 'progressing' });
    expect(await rollout(['rollback', '--yes'])).to.include({ phase: 'rolling-back', cause: 'command' });
    expect(await rollout(['status', '7'])).to.include({ exitCode: 1, code: 'request.not-found' });
  });
});

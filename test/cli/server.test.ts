import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { refuse, succeed } from './support/command.js';
import { copyOfSmallRound } from './support/small-round.js';

const program = fileURLToPath(new URL('../../bin/tensorguard-native.js', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  readonly document: {
    readonly address: string;
    readonly ready: boolean;
    readonly missing?: readonly string[];
  };
}

/** Starts a server on a free port; its result is a JSON document, of several lines, on standard output. */
async function start(cwd: string, ...more: string[]): Promise<Started> {
  const child = spawn(
    process.execPath,
    [program, 'server', '--port', '0', '--json', '--log-level', 'error', ...more],
    {
      cwd,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += line;
    if (line === '}') break;
  }
  return { child, document: JSON.parse(text) as Started['document'] };
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const [code] = (await ended) as [number | null];
  return code;
}

describe('server', function () {
  this.timeout(60_000);

  it('starts without any configuration, says what is missing, and is not ready', async () => {
    const { child, document } = await start(await temporaryDirectory());
    expect(document.ready).to.equal(false);
    expect(document.missing?.join()).to.include('aggregator init').and.to.include('fleet join');
    expect(document.missing?.join()).to.include('server --try');
    const alive = await fetch(`${document.address}/healthz`);
    expect(await alive.json()).to.deep.equal({ status: 'ok' });
    const ready = await fetch(`${document.address}/readyz`);
    expect(ready.status).to.equal(503);
    const text = await ready.text();
    expect(text).to.include('no keys yet').and.to.include('aggregator init');
    // Anybody may ask: nothing of this machine is told.
    expect(text).not.to.include('/tmp').and.not.to.include('tensorguard-data');
    expect((await fetch(`${document.address}/v1/rounds`)).status).to.equal(404);
    expect(await stop(child)).to.equal(0);
  });

  it('says what is missing of an aggregator that has keys and no roster', async () => {
    const cwd = await temporaryDirectory();
    await succeed(['aggregator', 'init', 'tensorguard-data/aggregator', '--id', 'cloud', '--fleet', 'acme'], {
      cwd,
    });
    const { child, document } = await start(cwd);
    expect(document.ready).to.equal(false);
    expect(document.missing?.join()).to.include('has no roster').and.to.not.include('aggregator init');
    const ready = (await (await fetch(`${document.address}/readyz`)).json()) as Record<string, unknown>;
    expect(JSON.stringify(ready)).to.include('keys and no roster').and.not.to.include('tensorguard-data');
    expect(await stop(child)).to.equal(0);
  });

  it('--try --json runs one round of a throw-away fleet, prints what came of it, ends, and leaves nothing', async () => {
    const cwd = await temporaryDirectory();
    const { document, stderr } = await succeed(['server', '--try', '--port', '0', '--json'], {
      cwd,
      env: { TMPDIR: cwd },
    });
    expect(document).to.include({ robots: 4, custodians: 4, threshold: 3, sums: 742_656, wrongSums: 0 });
    expect(document['relativeError']).to.be.within(0.001, 0.05);
    expect(document['steps']).to.be.an('array').with.length.greaterThan(10);
    expect(stderr).to.equal('');
    expect(await readdir(cwd)).to.deep.equal([]);
  });

  it('--try goes on serving until it is stopped, lets people look, and takes everything away', async () => {
    const cwd = await temporaryDirectory();
    const child = spawn(process.execPath, [program, 'server', '--try', '--port', '0'], {
      ...{ cwd, env: { ...process.env, TMPDIR: cwd } },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let look: RegExpExecArray | null = null;
    let text = '';
    for await (const line of createInterface({ input: child.stdout })) {
      text += `${line}\n`;
      look = /curl -H '(authorization): (.*)' (.*)$/i.exec(line);
      if (look !== null) break;
    }
    expect(text).to.include('Checked: each of the 742656 opened sums');
    const [, name = '', value = '', url = ''] = look ?? [];
    const round = await fetch(url, { headers: { [name]: value } });
    expect(await round.json()).to.include({ phase: 'released', fleet: 'trial', round: 1 });
    const page = await fetch(new URL('/', url));
    expect([page.status, page.headers.get('content-type')]).to.deep.equal([200, 'text/html; charset=utf-8']);
    expect(await readdir(cwd)).to.have.length(1);
    expect(await stop(child)).to.equal(0);
    expect(await readdir(cwd)).to.deep.equal([]);
  });

  it('keeps a whole number of closed rounds, and bytes that no round refers to for an hour at least', async () => {
    const cwd = await temporaryDirectory();
    for (const wrong of [
      ['--keep-rounds', '-1'],
      ['--keep-rounds', '1.5'],
      ['--keep-unused-hours', '0'],
    ]) {
      await refuse(['server', ...wrong], { cwd }, { exitCode: 2, code: 'usage' });
    }
  });

  it('--try takes no fleet of yours', async () => {
    const cwd = await temporaryDirectory();
    await refuse(['server', '--try', '--data', 'here'], { cwd }, { exitCode: 2, code: 'usage' });
  });

  it('serves a fleet, describes its API, and lets people in with tokens until they are revoked', async () => {
    const cwd = await copyOfSmallRound();
    const { child, document } = await start(cwd, '--aggregator', join(cwd, 'fleet/aggregator'));
    try {
      expect(document).to.include({ ready: true, fleet: 'fleet', rosterVersion: 1 });
      expect((await fetch(`${document.address}/readyz`)).status).to.equal(200);
      const api = (await (await fetch(`${document.address}/openapi.json`)).json()) as {
        openapi: string;
        paths: Record<string, unknown>;
      };
      expect(api.openapi).to.match(/^3\.1/);
      expect(Object.keys(api.paths)).to.include('/v1/rounds/{plan}/updates/{fingerprint}');
      const created = await succeed(['server', 'token', 'create', '--role', 'viewer', '--name', 'a wall'], {
        cwd,
      });
      const token = created.document['token'] as string;
      const rounds = (): Promise<Response> =>
        fetch(`${document.address}/v1/rounds`, { headers: { authorization: `Bearer ${token}` } });
      expect(await (await rounds()).json()).to.deep.equal({ rounds: [] });
      const listed = await succeed(['server', 'token', 'list'], { cwd });
      expect(JSON.stringify(listed.document)).to.include('a wall').and.not.to.include(token);
      await succeed(['server', 'token', 'revoke', created.document['id'] as string], { cwd });
      const refused = await rounds();
      expect(refused.status).to.equal(401);
      expect(await refused.json()).to.include({ code: 'auth.token-revoked' });
      await refuse(
        ['server', 'token', 'revoke', 'f'.repeat(16)],
        { cwd },
        { exitCode: 1, code: 'token.unknown' },
      );
    } finally {
      expect(await stop(child)).to.equal(0);
    }
  });
});

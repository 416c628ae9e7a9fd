import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { PersonClient } from '../../lib/cli/person-client.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { refuse } from './support/command.js';

const TOKEN = `tgt_${'0a'.repeat(8)}_${'x'.repeat(43)}`;
const answered = z.object({ authorization: z.string().nullable() });

describe('reading from a server as a person', () => {
  let directory: string;
  let tokenFile: string;
  let server: Server;
  let address: string;
  before(async () => {
    directory = await temporaryDirectory();
    tokenFile = join(directory, 'token');
    await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
    server = createServer((request, response) => {
      if (request.url === '/away') response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
      else response.end(JSON.stringify({ authorization: request.headers.authorization ?? null }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  for (const [where, file, environment] of [
    ['a file', true, undefined],
    ['the environment', false, TOKEN],
    ['a file, whatever the environment has', true, 'another'],
  ] as const) {
    it(`sends a token from ${where} to the loopback, and to no other server in the clear`, async () => {
      const path = file ? tokenFile : undefined;
      const client = await PersonClient.open(address, path, environment);
      expect(await client.get('/', answered)).to.deep.equal({ authorization: `Bearer ${TOKEN}` });
      for (const url of [
        'http://fleet.example.com',
        'http://192.0.2.1:8080',
        'http://127.0.0.1.example.com',
      ]) {
        const error = await expectRefusal('token.insecure-server', () =>
          PersonClient.open(url, path, environment),
        );
        expect(error.message).to.not.contain(TOKEN);
      }
      await PersonClient.open('https://fleet.example.com', path, environment);
    });
  }

  it('sends none where there is none, and follows no redirection with one', async () => {
    const nobody = await PersonClient.open(address, undefined);
    expect(await nobody.get('/', answered)).to.deep.equal({ authorization: null });
    const somebody = await PersonClient.open(address, tokenFile);
    await expectRefusal('http.unreachable', () => somebody.get('/away', answered));
  });

  it('keeps the token of the environment from a server that is not reached by TLS, command by command', async () => {
    const options = { cwd: directory, env: { TENSORGUARD_TOKEN: TOKEN } };
    const clear = ['--server', 'http://fleet.example.com'];
    for (const args of [
      ['rollout', 'status'],
      ['release', 'list'],
      ['release', 'show', '1'],
    ]) {
      const refused = { exitCode: 1, code: 'token.insecure-server' } as const;
      expect(await refuse([...args, ...clear], options, refused)).to.not.contain(TOKEN);
    }
  });
});

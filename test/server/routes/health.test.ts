import { expect } from 'chai';
import { RosterKeyDirectory } from '../../../lib/server/auth/key-directory.js';
import { BearerTokens } from '../../../lib/server/auth/tokens.js';
import { createApp } from '../../../lib/server/http/app.js';
import { HEALTH_ACCESS, registerHealthRoutes } from '../../../lib/server/routes/health.js';
import { MemoryTokenStore } from '../support/test-server.js';

describe('readiness', () => {
  it('says what is missing, and keeps to itself why a check failed', async () => {
    const log: string[] = [];
    const app = await createApp({
      access: HEALTH_ACCESS,
      directory: new RosterKeyDirectory(),
      tokens: new BearerTokens(new MemoryTokenStore()),
      version: '0.0.0-test',
      log: { destination: { write: (line: string) => log.push(line) } },
    });
    registerHealthRoutes(app, [
      { name: 'roster', missing: async () => 'Put a roster: PUT /v1/roster.' },
      { name: 'store', missing: async () => undefined },
      {
        name: 'disk',
        missing: async () => {
          throw new Error('ENOENT /srv/tensorguard');
        },
      },
    ]);
    const answer = await app.inject({ url: '/readyz' });
    expect(answer.statusCode).to.equal(503);
    expect(answer.json().missing.map(({ name }: { name: string }) => name)).to.deep.equal(['roster', 'disk']);
    expect(answer.body).not.to.include('srv');
    expect(log.join('')).to.include('ENOENT /srv/tensorguard');
    await app.close();
  });
});

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { LoopbackServer } from '../../../lib/dashboard/loopback/loopback-server.js';
import { parseServer } from '../../../lib/dashboard/loopback/upstream.js';
import { launchKeyOf } from '../../../lib/dashboard/model/place.js';
import { PAGE_POLICY, readPage } from '../../../lib/dashboard/page-files.js';
import { expectRefusal } from '../../support/refusals.js';

const TOKEN = `tgt_${'0123456789abcdef'}_${'x'.repeat(43)}`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

describe('the dashboard on loopback', () => {
  let upstream: Server;
  let seen: IncomingMessage[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let loopback: LoopbackServer;

  before((done) => {
    upstream = createServer((incoming, response) => {
      seen.push(incoming);
      answer(incoming, response);
    });
    upstream.listen(0, '127.0.0.1', done);
  });
  after(() => {
    upstream.closeAllConnections();
    upstream.close();
  });

  beforeEach(async () => {
    seen = [];
    answer = (_, response) => response.end('{"rounds":[]}');
    loopback = await start(async () => TOKEN);
  });
  afterEach(() => loopback.stop());

  async function start(token?: () => Promise<string>): Promise<LoopbackServer> {
    const { port } = upstream.address() as AddressInfo;
    const server = parseServer(`http://127.0.0.1:${port}`);
    return LoopbackServer.start({ page: await readPage(), server, port: 0, token });
  }

  /** With the headers as they are given: fetch sets Host and Origin by itself. */
  function ask(path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const method = body === undefined ? 'GET' : 'POST';
      const { port } = loopback;
      const outgoing = request({ host: '127.0.0.1', port, path, method, headers }, async (response) => {
        let text = '';
        for await (const piece of response) text += String(piece);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  const launchKey = (): string => launchKeyOf(new URL(loopback.launchAddress).hash) ?? '';
  const codeOf = ({ text }: Answer): string => (JSON.parse(text) as { code: string }).code;

  it('serves the page with its policy', async () => {
    const page = await ask('/');
    expect(page.status).to.equal(200);
    expect(page.headers['content-security-policy']).to.equal(PAGE_POLICY);
    expect((await ask('/dashboard/page.js')).headers['content-type']).to.match(/javascript/);
    expect(seen).to.deep.equal([]);
  });

  it('gives the server the token in place of the launch key, and the browser never', async () => {
    const answered = await ask('/v1/rounds?limit=3', { authorization: `Bearer ${launchKey()}` });
    expect(answered.text).to.equal('{"rounds":[]}');
    expect(seen.map(({ url, headers }) => [url, headers.authorization])).to.deep.equal([
      ['/v1/rounds?limit=3', `Bearer ${TOKEN}`],
    ]);
    const files = await Promise.all(
      ['/', '/dashboard/page.js', '/dashboard/page.css'].map((path) => ask(path)),
    );
    expect(files.map(({ text }) => text).join('')).not.to.include(TOKEN);
    expect(loopback.launchAddress).not.to.include(TOKEN);
  });

  it('gives nobody the token who has not the key: other users of this machine reach the port as well', async () => {
    await ask('/v1/rounds');
    await ask('/v1/rounds', { authorization: `Bearer tgl_${'y'.repeat(43)}` });
    await ask('/v1/rounds', { authorization: `Bearer ${launchKey()}x` });
    expect(seen.map(({ headers }) => headers.authorization)).to.deep.equal([
      undefined,
      `Bearer tgl_${'y'.repeat(43)}`,
      `Bearer ${launchKey()}x`,
    ]);
  });

  it('passes a token on that somebody entered in the page', async () => {
    const other = `tgt_${'f'.repeat(16)}_${'z'.repeat(43)}`;
    await ask('/v1/rounds', { authorization: `Bearer ${other}` });
    expect(seen[0]?.headers.authorization).to.equal(`Bearer ${other}`);
  });

  it('answers no other site’s page, whatever name that has made resolve to loopback', async () => {
    const authorization = `Bearer ${launchKey()}`;
    const own = `127.0.0.1:${loopback.port}`;
    for (const headers of [
      { host: 'evil.example' },
      { host: `evil.example:${loopback.port}` },
      { host: own, origin: 'https://evil.example' },
      { host: own, origin: 'null' },
      { host: own, 'sec-fetch-site': 'cross-site' },
      { host: own, 'sec-fetch-site': 'same-site' },
    ]) {
      const refused = await ask('/v1/rounds', { ...headers, authorization });
      expect(refused.status, JSON.stringify(headers)).to.equal(403);
      expect(codeOf(refused)).to.equal('dashboard.other-origin');
    }
    expect(seen).to.deep.equal([]);
    const allowed = await ask('/v1/rounds', {
      host: own,
      origin: `http://${own}`,
      'sec-fetch-site': 'same-origin',
    });
    expect(allowed.status).to.equal(200);
  });

  it('passes on what the page asks for, and nothing else', async () => {
    for (const path of [
      '/docs',
      '/metrics',
      '/v1',
      '/healthz',
      '/v1/../metrics',
      '/v1/%2e%2e/metrics',
      '//evil.example/v1/',
    ]) {
      expect((await ask(path)).status, path).to.be.within(400, 404);
    }
    expect(seen).to.deep.equal([]);
    await ask('/v1/rollouts/3/pause', { 'content-type': 'application/json', cookie: 'a=b' }, '{}');
    expect(seen[0]?.method).to.equal('POST');
    expect(seen[0]?.headers).to.not.have.property('cookie');
    expect(codeOf(await ask('/v1/rollouts/3/pause', {}, 'x'.repeat(70_000)))).to.equal('request.too-large');
  });

  it('brings events as they come, and their end', async () => {
    let finish: () => void = () => undefined;
    answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: round\ndata: 1\n\n');
      finish = () => response.end('event: round\ndata: 2\n\n');
    };
    const response = await fetch(`${loopback.address}/v1/events`, { headers: { 'last-event-id': '7' } });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value as Uint8Array)).to.equal('event: round\ndata: 1\n\n');
    expect(seen[0]?.headers['last-event-id']).to.equal('7');
    finish();
    const second = await reader?.read();
    expect(new TextDecoder().decode(second?.value as Uint8Array)).to.equal('event: round\ndata: 2\n\n');
    expect((await reader?.read())?.done).to.equal(true);
  });

  it('follows the server nowhere: the token is for it alone', async () => {
    answer = (incoming, response) => {
      if (incoming.url === '/v1/elsewhere') response.end('taken');
      else response.writeHead(307, { location: '/v1/elsewhere' }).end();
    };
    const refused = await ask('/v1/rounds', { authorization: `Bearer ${launchKey()}` });
    expect([refused.status, codeOf(refused)]).to.deep.equal([502, 'dashboard.unreachable']);
    expect(seen).to.have.length(1);
  });

  it('says that the server is away, and answers again when it is back', async () => {
    answer = (incoming) => incoming.socket.destroy();
    expect(codeOf(await ask('/v1/rounds'))).to.equal('dashboard.unreachable');
    answer = (_, response) => response.end('{}');
    expect((await ask('/v1/rounds')).status).to.equal(200);
  });

  it('takes no server that would get the token in the clear', async () => {
    await expectRefusal('dashboard.insecure-server', () => parseServer('http://fleet.example.com'));
    expect(parseServer('https://fleet.example.com').origin).to.equal('https://fleet.example.com');
    expect(parseServer('http://[::1]:8080').port).to.equal('8080');
    for (const text of [
      'fleet.example.com',
      'https://a.example/path',
      'file:///etc/passwd',
      'https://u:p@a.example',
    ]) {
      await expectRefusal('dashboard.bad-server', () => parseServer(text));
    }
  });
});

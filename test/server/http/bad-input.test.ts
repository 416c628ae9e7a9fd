/** A real socket, and what no HTTP library would send. */
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import {
  createTestServer,
  FILE_LIMIT_BYTES,
  listen,
  PLAN,
  signedHeaders,
  type TestServer,
} from '../support/test-server.js';

interface Answer {
  readonly status: number | undefined;
  readonly head: string;
  readonly body: string;
}

/** Whatever comes back until the server closes the connection. */
function untilClosed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

function parseAnswer(text: string): Answer {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
  return { status: status === undefined ? undefined : Number(status), head, body };
}

const LEAKS = /node_modules|\.js\b|\.ts\b|\/work|\/tmp|\bat \w|Error:|FST_|ERR_|HPE_/;

describe('bad input over a socket', () => {
  let server: TestServer;
  let port: number;
  let host: string;

  before(async () => {
    server = await createTestServer({
      limits: {
        headersTimeoutMs: 150,
        requestTimeoutMs: 300,
        idleTimeoutMs: 2000,
        timeoutCheckIntervalMs: 20,
        requestsPerMinutePerAddress: 100_000,
      },
    });
    ({ port, host } = await listen(server.app));
  });

  async function send(...pieces: (string | Buffer)[]): Promise<Answer> {
    const socket = connect(port, '127.0.0.1');
    const answer = untilClosed(socket);
    for (const piece of pieces) socket.write(piece);
    const parsed = parseAnswer(await answer);
    expect(parsed.head + parsed.body).not.to.match(LEAKS);
    return parsed;
  }

  function get(path: string, ...headers: string[]): Promise<Answer> {
    const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...headers];
    return send(`${lines.join('\r\n')}\r\n\r\n`);
  }

  async function signedGet(path: string): Promise<Answer> {
    const headers = await signedHeaders(server.members.owner, { method: 'GET', url: path }, host);
    return get(
      path,
      ...Object.entries(headers)
        .filter(([name]) => name !== 'host')
        .map(([name, value]) => `${name}: ${value}`),
    );
  }

  async function upload(lengthText: string, ...pieces: (string | Buffer)[]): Promise<Answer> {
    const [client] = server.members.clients;
    const url = `/v1/rounds/${PLAN}/file`;
    const signed = await signedHeaders(
      client ?? server.members.owner,
      { method: 'PUT', url, digest: false, contentType: 'application/octet-stream' },
      host,
    );
    const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}`);
    return send(
      `PUT ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\nConnection: close\r\n${lengthText}\r\n\r\n`,
      ...pieces,
    );
  }

  it('takes what is good, so that the refusals below mean something', async () => {
    expect((await signedGet(`/v1/rounds/${PLAN}`)).status).to.equal(200);
    const { status, body } = await upload('Content-Length: 5', 'hello');
    expect([status, body]).to.deep.equal([200, '{"sizeBytes":5}']);
  });

  it('closes a connection whose headers only trickle', async () => {
    const socket = connect(port, '127.0.0.1');
    const answer = untilClosed(socket);
    socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n`);
    const drip = setInterval(() => socket.write('X-A: b\r\n'), 30);
    const { status, body } = parseAnswer(await answer);
    clearInterval(drip);
    expect(status).to.equal(408);
    expect(JSON.parse(body).code).to.equal('request.timeout');
  });

  it('closes a connection whose body only trickles', async () => {
    const [client] = server.members.clients;
    const url = `/v1/rounds/${PLAN}/file`;
    const signed = await signedHeaders(
      client ?? server.members.owner,
      { method: 'PUT', url, digest: false, contentType: 'application/octet-stream' },
      host,
    );
    const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}`);
    const socket = connect(port, '127.0.0.1');
    const answer = untilClosed(socket);
    socket.write(`PUT ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\nContent-Length: 1000\r\n\r\n`);
    const drip = setInterval(() => socket.write('x'), 30);
    const text = await answer;
    clearInterval(drip);
    expect(text).not.to.match(/ 200 /);
    expect(text).not.to.match(LEAKS);
  });

  it('refuses a body that is too large before it arrives', async () => {
    const { status, body } = await upload(`Content-Length: ${FILE_LIMIT_BYTES + 1}`);
    expect(status).to.equal(413);
    expect(JSON.parse(body).code).to.equal('request.too-large');
    expect((await upload('Content-Length: 99999999999999999999')).status).to.be.oneOf([400, 413]);
  });

  it('accepts nothing of a body that is shorter than it says', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const [client] = server.members.clients;
    const url = `/v1/rounds/${PLAN}/file`;
    const signed = await signedHeaders(
      client ?? server.members.owner,
      { method: 'PUT', url, digest: false, contentType: 'application/octet-stream' },
      host,
    );
    const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}`);
    const answer = untilClosed(socket);
    socket.end(`PUT ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\nContent-Length: 10\r\n\r\nhello`);
    const text = await answer;
    expect(text).not.to.match(/ 200 /);
    expect(text).not.to.match(LEAKS);
  });

  it('takes no more of a body than it says, and what follows is no second request', async () => {
    const [client] = server.members.clients;
    const url = `/v1/rounds/${PLAN}/file`;
    const signed = await signedHeaders(
      client ?? server.members.owner,
      { method: 'PUT', url, digest: false, contentType: 'application/octet-stream' },
      host,
    );
    const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}`);
    const request = `PUT ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\nContent-Length: 5\r\n\r\n`;
    const { head, body } = await send(`${request}hello and more\r\n\r\n`);
    // One refusal, of what follows, and at most one receipt, of the five bytes.
    const text = head + body;
    expect(text).to.match(/HTTP\/1\.1 400/);
    expect(text.match(/"sizeBytes":/g) ?? []).to.have.length.at.most(1);
    expect(text).not.to.match(/"sizeBytes":(?!5\})/);
  });

  for (const [name, headers] of Object.entries({
    'two lengths': 'Content-Length: 5\r\nContent-Length: 6',
    'a length and chunks': 'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'a length that is no number': 'Content-Length: five',
    'a negative length': 'Content-Length: -1',
  })) {
    it(`refuses ${name}`, async () => {
      expect((await upload(headers, 'hello')).status).to.equal(400);
    });
  }

  it('refuses chunks', async () => {
    const { status, body } = await upload('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n');
    expect(status).to.equal(411);
    expect(JSON.parse(body).code).to.equal('request.length-required');
  });

  it('refuses headers that are too large', async () => {
    const { status, body } = await get('/healthz', `X-Large: ${'x'.repeat(20_000)}`);
    expect(status).to.equal(431);
    expect(JSON.parse(body).code).to.equal('request.headers-too-large');
  });

  it('refuses what is no HTTP', async () => {
    for (const text of [
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
      'hello\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
    ]) {
      const { status, body } = await send(text);
      expect(status).to.equal(400);
      expect(JSON.parse(body).code).to.equal('request.malformed');
    }
  });

  const upperCase = PLAN.toUpperCase();
  const identifiers: Record<string, string> = {
    'upper-case digits': upperCase,
    'mixed-case digits': `A${PLAN.slice(1)}`,
    'a digit too few': PLAN.slice(1),
    'a digit too many': `${PLAN}a`,
    '200 digits': 'a'.repeat(200),
    '2,000 digits': 'a'.repeat(2000),
    'an escaped parent': '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    'a parent, escaped twice': '%252e%252e%252f',
    'a zero byte': `${PLAN}%00`,
    'a zero byte and an extension': '%00.tgu',
    'a backslash': '..%5c..%5c',
    'a space': '%20',
    'a line break': `${PLAN}%0d%0aX-Injected:%201`,
    'an unfinished escape': '%e0%a4%a',
    'bytes that are no UTF-8': '%ff%fe',
    'full-width digits': '%ef%bc%90'.repeat(8),
    'a name of Object.prototype': '__proto__',
  };
  for (const [name, identifier] of Object.entries(identifiers)) {
    it(`refuses ${name} in place of a fingerprint`, async () => {
      const { status, head, body } = await signedGet(`/v1/rounds/${identifier}`);
      expect(status).to.equal(400);
      expect(JSON.parse(body).code).to.be.oneOf(['request.invalid', 'request.bad-target']);
      expect(head).not.to.include('X-Injected');
      expect(body).not.to.include('passwd');
    });
  }

  it('refuses indices and ids that are spelled otherwise', async () => {
    const [client] = server.members.clients;
    for (const chunk of ['01', '+1', '1.0', '1e3', '-1', '0x1', '', '99999999999', '1048576']) {
      const url = `/v1/rounds/${PLAN}/updates/${PLAN}/chunks/${chunk}`;
      const headers = await signedHeaders(client ?? server.members.owner, {
        method: 'PUT',
        url,
        digest: false,
      });
      const answer = await server.app.inject({ method: 'PUT', url, headers });
      expect(answer.statusCode, chunk).to.equal(400);
    }
  });

  it('routes no path that has to be interpreted first', async () => {
    for (const path of [
      `/v1/../v1/rounds/${PLAN}`,
      `/v1/./rounds/${PLAN}`,
      `//v1/rounds/${PLAN}`,
      `/v1//rounds/${PLAN}`,
      `/V1/rounds/${PLAN}`,
      `/v1/rounds/${PLAN}/`,
      '/healthz/../v1/slow',
      '/docs/static/../../package.json',
    ]) {
      expect((await signedGet(path)).status, path).to.be.oneOf([400, 404]);
    }
  });

  it('refuses targets in absolute form, with a fragment, or with bytes that belong in none', async () => {
    for (const path of [
      `http://${host}/healthz`,
      '/healthz#x',
      '/healthz"',
      '/healthz<',
      '/health\xff',
      '*',
    ]) {
      const { status } = await get(path);
      expect(status, path).to.be.oneOf([400, 404]);
    }
    expect((await get('/healthz')).status).to.equal(200);
  });

  it('tells a caller with a wrong clock what time it is', async () => {
    const url = `/v1/rounds/${PLAN}`;
    const { signRequest } = await import('../../../lib/agents/http/request-signer.js');
    for (const [offsetMs, code] of [
      [-3_600_000, 'auth.expired'],
      [3_600_000, 'auth.from-the-future'],
    ] as const) {
      const headers = await signRequest(
        server.members.owner.signing,
        { method: 'GET', target: url, authority: host },
        Date.now() + offsetMs,
      );
      const { status, head, body } = await get(
        url,
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      );
      expect([status, JSON.parse(body).code]).to.deep.equal([401, code]);
      const date = /^date: (.*)$/im.exec(head)?.[1] ?? '';
      expect(Math.abs(Date.parse(date) - Date.now())).to.be.lessThan(60_000);
    }
  });

  it('refuses a second signature in the headers', async () => {
    const url = `/v1/rounds/${PLAN}`;
    const first = await signedHeaders(server.members.owner, { method: 'GET', url }, host);
    const second = await signedHeaders(server.members.owner, { method: 'GET', url }, host);
    const lines = [first, second].flatMap((headers) =>
      Object.entries(headers)
        .filter(([name]) => name !== 'host')
        .map(([name, value]) => `${name}: ${value}`),
    );
    const { status, body } = await get(url, ...lines);
    expect([status, JSON.parse(body).code]).to.deep.equal([401, 'auth.malformed-signature']);
  });

  it('still serves everybody else', async () => {
    expect((await signedGet(`/v1/rounds/${PLAN}`)).status).to.equal(200);
  });
});

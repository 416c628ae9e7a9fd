import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { readAllClients } from '../../../lib/dashboard/model/all-clients.js';
import { RequestFailure, ServerApi } from '../../../lib/dashboard/model/server-api.js';

describe("the page's requests", () => {
  let server: Server;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let refused: (string | undefined)[];
  let token: string | undefined;

  before((done) => {
    server = createServer((request, response) => answer(request, response));
    server.listen(0, '127.0.0.1', done);
  });
  after(() => server.close());
  beforeEach(() => {
    refused = [];
    token = 'tgt_one';
  });

  function api(): ServerApi {
    return new ServerApi({
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      token: () => token,
      onRefused: (of) => refused.push(of),
    });
  }

  async function failureOf(promise: Promise<unknown>): Promise<RequestFailure> {
    const failure = await promise.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(RequestFailure);
    return failure as RequestFailure;
  }

  it('carry the token in their header, and in nothing else', async () => {
    answer = (request, response) => {
      response.end(JSON.stringify({ url: request.url, of: request.headers.authorization }));
    };
    expect(await api().get('/v1/rounds')).to.deep.equal({ url: '/v1/rounds', of: 'Bearer tgt_one' });
  });

  it('are not made while nobody is signed in', async () => {
    token = undefined;
    answer = () => expect.fail('a request');
    expect((await failureOf(api().get('/v1/rounds'))).isSignedOut).to.equal(true);
    expect(refused).to.deep.equal([]);
  });

  it('say which token was refused, and why', async () => {
    answer = (_, response) => {
      response.writeHead(401).end(JSON.stringify({ code: 'auth.token-expired', detail: 'It has expired.' }));
    };
    const failure = await failureOf(api().get('/v1/rounds'));
    expect(failure).to.include({ status: 401, code: 'auth.token-expired', message: 'It has expired.' });
    expect(refused).to.deep.equal(['tgt_one']);
  });

  it('follow no redirection: the token is for this server alone', async () => {
    answer = (request, response) => {
      if (request.url === '/elsewhere') expect.fail('it was followed');
      response.writeHead(302, { location: '/elsewhere' }).end();
    };
    expect((await failureOf(api().get('/v1/rounds'))).status).to.equal('unreachable');
  });

  it('make a failure of an answer that is none of the service', async () => {
    answer = (_, response) => {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>');
    };
    expect(await failureOf(api().get('/v1/rounds'))).to.include({ status: 502, code: 'http.502' });
  });

  it('read all pages of the clients, and no more than a fleet has', async () => {
    answer = (request, response) => {
      const after = new URL(request.url ?? '', 'http://server').searchParams.get('after');
      const client = after === null ? 'a' : 'b';
      const next = after === null ? { next: 'a' } : {};
      response.end(JSON.stringify({ clients: [{ client }], enrolled: 2, ...next }));
    };
    const { clients, enrolled } = await readAllClients(api());
    expect(clients.map(({ client }) => client)).to.deep.equal(['a', 'b']);
    expect(enrolled).to.equal(2);
    let pages = 0;
    answer = (_, response) => {
      pages += 1;
      response.end(JSON.stringify({ clients: [], enrolled: 0, next: 'again' }));
    };
    await readAllClients(api());
    expect(pages).to.equal(66);
  });
});

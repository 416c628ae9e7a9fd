import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { shutDown } from '../../../lib/server/http/shutdown.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { createTestServer, listen } from '../support/test-server.js';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('shutting down', () => {
  it('finishes what was begun, and takes nothing new', async () => {
    const { app, gates } = await createTestServer();
    const { url, port } = await listen(app);
    const before = gates.release;
    const slow = fetch(`${url}/v1/slow`);
    await until(() => gates.release !== before);
    const done = shutDown(app);
    await until(() => app.closing.aborted && !app.server.listening);
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(port, '127.0.0.1');
      socket.on('connect', () => {
        resolve(false);
        socket.destroy();
      });
      socket.on('error', () => resolve(true));
    });
    expect(refused).to.equal(true);
    gates.release();
    const answer = await slow;
    expect(await answer.json()).to.deep.equal({ done: true });
    expect(answer.headers.get('connection')).to.equal('close');
    expect(await done).to.equal(true);
  });

  it('answers 503 to a request that was arriving when it began', async () => {
    const { app } = await createTestServer();
    const { port, host } = await listen(app);
    const accepted: Socket[] = [];
    app.server.on('connection', (socket: Socket) => accepted.push(socket));
    const socket = connectTcp(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n`);
    await until(() => (accepted[0]?.bytesRead ?? 0) > 0);
    const done = shutDown(app);
    await until(() => app.closing.aborted && !app.server.listening);
    socket.write('\r\n');
    await closed;
    expect(text).to.match(/^HTTP\/1\.1 503/);
    expect(text).to.include('server.closing');
    expect(await done).to.equal(true);
  });

  it('does not wait for connections that were opened and never used', async () => {
    const { app } = await createTestServer();
    const { port } = await listen(app);
    const sockets = [connectTcp(port, '127.0.0.1'), connectTcp(port, '127.0.0.1')];
    const closed = sockets.map(
      (socket) => new Promise<void>((resolve) => socket.on('close', () => resolve())),
    );
    // With half a request unread, the end is a reset.
    for (const socket of sockets) socket.on('error', () => undefined);
    let accepted = 0;
    app.server.on('connection', () => {
      accepted += 1;
    });
    await until(() => accepted === 2);
    // Half of a head, and then nothing: it gets a moment.
    sockets[1]?.write('GET /healthz HT');
    const started = performance.now();
    expect(await shutDown(app, 15_000)).to.equal(true);
    await Promise.all(closed);
    expect(performance.now() - started).to.be.lessThan(8000);
  });

  it('does not wait for the next request of a connection whose stream ends with the server', async () => {
    const { app, gates } = await createTestServer();
    const { url } = await listen(app);
    const before = gates.release;
    // Its head is sent before the server begins to close, so that it does not say that the connection ends.
    const stream = await fetch(`${url}/v1/stream`);
    expect(stream.headers.get('connection')).to.equal('keep-alive');
    await until(() => gates.release !== before);
    const started = performance.now();
    const done = shutDown(app, 15_000);
    await until(() => app.closing.aborted);
    gates.release();
    expect(await stream.text()).to.equal('begun, ended');
    expect(await done).to.equal(true);
    expect(performance.now() - started).to.be.lessThan(8000);
  });

  it('cuts off what does not finish in time', async () => {
    const { app, gates } = await createTestServer();
    const { url } = await listen(app);
    const before = gates.release;
    const slow = fetch(`${url}/v1/slow`).then(
      () => 'answered',
      () => 'cut off',
    );
    await until(() => gates.release !== before);
    expect(await shutDown(app, 50)).to.equal(false);
    expect(await slow).to.equal('cut off');
    gates.release();
  });
});

describe('TLS', () => {
  it('is spoken from version 1.2 on, with the files that it is given', async () => {
    const directory = await temporaryDirectory();
    const tls = { certificatePath: join(directory, 'cert.pem'), keyPath: join(directory, 'key.pem') };
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', tls.keyPath, '-out', tls.certificatePath, '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ]);
    const { app } = await createTestServer({ tls });
    const { port } = await listen(app);
    const ca = await readFile(tls.certificatePath);
    const handshake = (maxVersion: 'TLSv1.1' | 'TLSv1.3', request?: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(
          { port, host: '127.0.0.1', ca, minVersion: 'TLSv1', maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' },
          () => socket.write(request ?? ''),
        );
        let text = '';
        socket.on('data', (chunk) => {
          text += chunk.toString();
        });
        socket.on('error', () => resolve('refused'));
        socket.on('close', () => resolve(text));
      });
    const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const answer = await handshake('TLSv1.3', request);
    expect(answer).to.match(/^HTTP\/1\.1 200/);
    expect(answer).to.match(/strict-transport-security: max-age=/i);
    expect(await handshake('TLSv1.1')).to.equal('refused');
  });
});

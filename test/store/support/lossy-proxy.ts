/** A connection to a server that may lose what the server answers: the request arrives, the reply does not. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class LossyProxy {
  private readonly sockets = new Set<Socket>();
  private losing = false;

  private constructor(
    private readonly server: Server,
    readonly address: string,
  ) {}

  static async start(targetPort: number): Promise<LossyProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was free');
    const proxy = new LossyProxy(server, `127.0.0.1:${address.port}`);
    server.on('connection', (client) => proxy.join(client, connect(targetPort, '127.0.0.1')));
    return proxy;
  }

  /** From now on the server's answers are lost. */
  loseReplies(): void {
    this.losing = true;
  }

  /** Breaks the connections, and lets new ones work. */
  heal(): void {
    this.losing = false;
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.heal();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(client: Socket, server: Socket): void {
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => {
      if (!this.losing) client.write(bytes);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(one);
      // The test breaks connections on purpose.
      one.on('error', () => undefined);
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
  }
}

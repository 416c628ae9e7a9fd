/** TLS from PEM files. Mutual TLS is a proxy's matter: machines prove themselves by their signatures. */
import { readFile } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { EnvironmentError } from '../../errors.js';

export interface TlsFiles {
  /** Certificate with its chain, PEM. */
  readonly certificatePath: string;
  /** Private key, PEM. */
  readonly keyPath: string;
}

/** @throws EnvironmentError `server.tls-unreadable` */
export async function readTls(files: TlsFiles): Promise<SecureContextOptions> {
  const read = (path: string): Promise<Buffer> =>
    readFile(path).catch((cause: unknown) => {
      throw new EnvironmentError(
        'server.tls-unreadable',
        `${path} cannot be read. Check the path, and that the server's user may read it.`,
        { cause },
      );
    });
  return {
    cert: await read(files.certificatePath),
    key: await read(files.keyPath),
    minVersion: 'TLSv1.2',
  };
}

/** A token that `server token create` printed, in a file that nobody else may read. */
import { readFile } from 'node:fs/promises';
import { requirePrivateFile } from '../durable/private-files.js';
import { EnvironmentError, FormatError } from '../errors.js';

const TOKEN = /^tgt_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/;
const MAX_BYTES = 4096;

/** @throws EnvironmentError `token.file-unreadable`, `storage.permissions`, `storage.symlink`; FormatError `token.bad-file` */
export async function readTokenFile(path: string): Promise<string> {
  const text = await readPrivate(path);
  const token = text.trim();
  if (TOKEN.test(token)) return token;
  throw new FormatError(
    'token.bad-file',
    `${path} does not hold a token and nothing else. Put there what "server token create" printed: tgt_...`,
  );
}

async function readPrivate(path: string): Promise<string> {
  try {
    const { size } = await requirePrivateFile(path);
    return size > MAX_BYTES ? '' : await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof EnvironmentError) throw cause;
    throw new EnvironmentError(
      'token.file-unreadable',
      `The token file ${path} cannot be read. Make one: tensorguard-native server token create --role viewer --name NAME.`,
      {
        cause,
      },
    );
  }
}

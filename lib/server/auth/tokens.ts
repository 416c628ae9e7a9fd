/**
 * Bearer tokens for people: `tgt_ID_SECRET`, with 32 random bytes as the secret, of which only the SHA-256 is kept.
 *
 * A plain hash is enough: nobody guesses 256 random bits, so there is nothing for a slow hash to slow down.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ParameterError, RefusedError } from '../../errors.js';
import { sha256 } from '../../package/digests.js';
import { hex, textSchema, unixMsSchema } from '../../package/messages/common.js';
import { PERSON_ROLES, type Person, type PersonRole } from './actor.js';

const ID_BYTES = 8;
const SECRET_BYTES = 32;
const TOKEN = /^tgt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const DAY_MS = 86_400_000;
const MAX_DAYS = 3650;

export const storedTokenSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** SHA-256 of the secret, hexadecimal. */
  secretSha256: z.string().regex(/^[0-9a-f]{64}$/),
  role: z.enum(PERSON_ROLES),
  /** Who or what it is for. */
  name: textSchema(128),
  createdMs: unixMsSchema,
  expiresMs: unixMsSchema,
  revokedMs: unixMsSchema.optional(),
});

export type StoredToken = z.infer<typeof storedTokenSchema>;

export interface TokenStore {
  get(id: string): Promise<StoredToken | undefined>;
  /** On the disk when it resolves. Replaces the one with the same id. */
  put(token: StoredToken): Promise<void>;
  list(): Promise<readonly StoredToken[]>;
}

/** What may be shown of a token. */
export type TokenDescription = Omit<StoredToken, 'secretSha256'>;

export class BearerTokens {
  constructor(
    private readonly store: TokenStore,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * @param days from 1 to 3650
   * @returns the token, which is shown once and kept nowhere
   * @throws ParameterError `token.bad-name`, `token.bad-days`
   */
  async create(name: string, role: PersonRole, days: number): Promise<{ token: string; id: string }> {
    if (!textSchema(128).safeParse(name).success) {
      throw new ParameterError('token.bad-name', 'A token needs a name of 1 to 128 characters on one line.');
    }
    if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
      throw new ParameterError('token.bad-days', `A token lasts from 1 to ${MAX_DAYS} days, not ${days}.`);
    }
    const id = randomBytes(ID_BYTES).toString('hex');
    const secret = randomBytes(SECRET_BYTES);
    const token = `tgt_${id}_${secret.toString('base64url')}`;
    const secretSha256 = hex(sha256(secret));
    secret.fill(0);
    const createdMs = this.now();
    await this.store.put({ id, secretSha256, role, name, createdMs, expiresMs: createdMs + days * DAY_MS });
    return { token, id };
  }

  /** @throws RefusedError `auth.bad-token`, `auth.token-expired`, `auth.token-revoked` */
  async verify(token: string): Promise<Person> {
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) throw badToken();
    const stored = await this.store.get(id);
    const digest = sha256(Buffer.from(secret, 'base64url'));
    // The same work whether or not the id is known.
    const expected = Buffer.from(stored?.secretSha256 ?? '00'.repeat(32), 'hex');
    if (!timingSafeEqual(digest, expected) || stored === undefined) throw badToken();
    if (stored.revokedMs !== undefined) {
      throw new RefusedError('auth.token-revoked', 'This token was revoked. Ask for a new one.');
    }
    if (this.now() >= stored.expiresMs) {
      throw new RefusedError('auth.token-expired', 'This token has expired. Ask for a new one.');
    }
    return { kind: 'person', role: stored.role, id, name: stored.name };
  }

  /** Revoking a token twice keeps the first time. @throws RefusedError `token.unknown` */
  async revoke(id: string): Promise<void> {
    const stored = await this.store.get(id);
    if (stored === undefined) {
      throw new RefusedError('token.unknown', `There is no token with the id "${id}". List the tokens.`);
    }
    if (stored.revokedMs === undefined) await this.store.put({ ...stored, revokedMs: this.now() });
  }

  /** Oldest first. */
  async list(): Promise<readonly TokenDescription[]> {
    const tokens = [...(await this.store.list())].sort((a, b) => a.createdMs - b.createdMs);
    return tokens.map(({ secretSha256: _, ...description }) => description);
  }
}

/** One answer for every token that was never issued: which part of it was wrong helps only a guesser. */
function badToken(): RefusedError {
  return new RefusedError('auth.bad-token', 'This is no token of this server.');
}

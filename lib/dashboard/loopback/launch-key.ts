/**
 * What the browser gets in place of the token: a key that only this process knows, good for as long as it runs. It is in the
 * fragment of the address that the command prints, which browsers send to nobody.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { sha256 } from '../../package/digests.js';

const BEARER = /^Bearer (tgl_[A-Za-z0-9_-]{43})$/;

export class LaunchKey {
  readonly text = `tgl_${randomBytes(32).toString('base64url')}`;
  readonly #digest = sha256(Buffer.from(this.text));

  /** Whether an Authorization header carries this key. */
  isIn(authorization: string | undefined): boolean {
    const [, key] = BEARER.exec(authorization ?? '') ?? [];
    return key !== undefined && timingSafeEqual(sha256(Buffer.from(key)), this.#digest);
  }
}

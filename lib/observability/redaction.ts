/** What no log has, wherever it comes from: bearer tokens, by their form, and fields that are named for what must stay secret. */

/** The last part is the secret; the id before it is what tokens are listed by. */
const TOKEN = /\btgt_([0-9a-f]{16})_[A-Za-z0-9_-]{20,}/g;
/** `Authorization` and `Signature` of a request that an error dragged along as text. */
const HEADER = /\b(authorization|signature|cookie)(["']?\s*[:=]\s*)["']?[^\r\n]+/gi;

export const REDACTED = '[redacted]';

export const SECRET_NAMES = [
  'authorization',
  'signature',
  'signature-input',
  'cookie',
  'token',
  'secret',
  'passphrase',
  'password',
  'pin',
] as const;

const NAMES: ReadonlySet<string> = new Set(SECRET_NAMES);

export function isSecretName(name: string): boolean {
  return NAMES.has(name.toLowerCase());
}

/** Text without the secrets that can be told by their form. */
export function redacted(text: string): string {
  return text.replace(TOKEN, `tgt_$1_${REDACTED}`).replace(HEADER, `$1$2${REDACTED}`);
}

/** What of a program's error output may be shown. */

const MAX_SHOWN_CHARACTERS = 200;
/** So many equal bytes are no coincidence: one in 2^64 a position, for a random secret. */
const REVEALING_BYTES = 8;
const WITHHELD = '(withheld: it contains key material)';

/**
 * The first line of `stderr`, cut and without control characters; or a remark, if anything in `stderr` repeats a run of
 * a secret, plain or in hex or base64. A program that traces its input would otherwise put the key into our log. Other
 * ways of writing a key are not recognized, so a program that traces its input is a risk nevertheless.
 *
 * The output is decoded and compared, rather than the secret encoded: a string cannot be wiped.
 */
export function showableLine(stderr: Uint8Array, secrets: readonly Uint8Array[]): string {
  if (decodings(stderr).some((bytes) => secrets.some((secret) => repeatsRun(bytes, secret)))) return WITHHELD;
  const [line = ''] = Buffer.from(stderr).toString('utf8').trimStart().split('\n', 1);
  if (line === '') return '(it wrote nothing to stderr)';
  return line
    .replace(/\p{Cc}/gu, ' ')
    .slice(0, MAX_SHOWN_CHARACTERS)
    .trimEnd();
}

function decodings(stderr: Uint8Array): Buffer[] {
  const plain = Buffer.from(stderr);
  const text = plain.toString('latin1');
  // Dumps put blanks between bytes.
  const digits = text.replace(/\s/g, '').match(/[0-9a-f]{16,}/gi) ?? [];
  const base64 = text.match(/[A-Za-z0-9+/_-]{11,}/g) ?? [];
  return [
    plain,
    // The digits may begin in the middle of a pair or a group, after other ones.
    ...digits.flatMap((run) => [0, 1].map((start) => Buffer.from(run.slice(start), 'hex'))),
    ...base64.flatMap((run) => [0, 1, 2, 3].map((start) => Buffer.from(run.slice(start), 'base64'))),
  ];
}

function repeatsRun(bytes: Buffer, secret: Uint8Array): boolean {
  const size = Math.min(REVEALING_BYTES, secret.length);
  if (size === 0) return false;
  const searched = Buffer.from(secret.buffer, secret.byteOffset, secret.length);
  for (let start = 0; start + size <= bytes.length; start += 1) {
    if (searched.includes(bytes.subarray(start, start + size))) return true;
  }
  return false;
}

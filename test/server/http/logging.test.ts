import { expect } from 'chai';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { createSigningKey } from '../../../lib/package/signing-key.js';
import { createLogger } from '../../../lib/server/http/logging.js';

const SECRET = 'S'.repeat(43);
const TOKEN = `tgt_0123456789abcdef_${SECRET}`;

describe("the server's log", () => {
  function logged(write: (log: ReturnType<typeof createLogger>) => void): string {
    const lines: string[] = [];
    write(createLogger({ destination: { write: (line: string) => lines.push(line) } }));
    expect(lines.length).to.be.greaterThan(0);
    return lines.join('');
  }

  it('has no secret of a request, however deep in an object', () => {
    const headers = {
      authorization: `Bearer ${SECRET}`,
      signature: SECRET,
      'signature-input': SECRET,
      cookie: SECRET,
    };
    const text = logged((log) => {
      log.info({ headers }, 'a request');
      log.info({ request: { headers } }, 'a request');
      log.info(
        { ...headers, token: SECRET, passphrase: SECRET, password: SECRET, pin: SECRET },
        'all at once',
      );
    });
    expect(text).not.to.include(SECRET);
    expect(text).to.include('[redacted]');
  });

  it('has of an error its code and message alone, and no token in them', () => {
    const cause = Object.assign(new Error(`authorization: Bearer ${SECRET}`), { code: 'http.unreachable' });
    const error = Object.assign(new Error(`refused ${TOKEN}`, { cause }), {
      request: { headers: { authorization: SECRET } },
      token: TOKEN,
    });
    const text = logged((log) => log.error({ err: error }, 'in the background'));
    expect(text).to.include('tgt_0123456789abcdef_[redacted]').and.to.include('http.unreachable');
    expect(text).not.to.include(SECRET);
  });

  it('has no private key in it, even where one is handed to it', () => {
    const secret = new SecretBytes(new Uint8Array(32).fill(0xa5));
    const signing = createSigningKey();
    const text = logged((log) => log.info({ key: secret, signing }, 'keys'));
    expect(text).not.to.match(/a5a5a5|paWlpa|165,165/);
    expect(text).not.to.include('PRIVATE KEY');
    secret.wipe();
  });
});

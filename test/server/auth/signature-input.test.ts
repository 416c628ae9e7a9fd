import { expect } from 'chai';
import fc from 'fast-check';
import { TensorGuardError } from '../../../lib/errors.js';
import { parseSignatureInput } from '../../../lib/server/auth/signature-input.js';
import { expectRefusal } from '../../support/refusals.js';

const SIGNATURE = `sig=:${'A'.repeat(86)}==:`;
const KEY_ID = '0123456789abcdef'.repeat(4);
const COMPONENTS = '"@method" "@authority" "@path" "@query"';
const PARAMETERS = `;created=1800000000;expires=1800000060;nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="${KEY_ID}";alg="ed25519";tag="tensorguard-v1"`;
const GOOD = `sig=(${COMPONENTS})${PARAMETERS}`;

describe('Signature-Input', () => {
  it('is read in any order of components and parameters', () => {
    const shuffled = `sig=("@query" "content-digest" "@path" "@method" "@authority");tag="tensorguard-v1";alg="ed25519";keyid="${KEY_ID}";nonce="AAAAAAAAAAAAAAAAAAAAAA";expires=1800000060;created=1800000000`;
    const parsed = parseSignatureInput(shuffled, SIGNATURE);
    expect(parsed.components).to.have.length(5);
    expect(parsed).to.include({ createdMs: 1_800_000_000_000, expiresMs: 1_800_000_060_000, keyId: KEY_ID });
  });

  const refusals: Record<string, [string, string, string?]> = {
    'nothing at all': ['auth.malformed-signature', '', ''],
    'an input without a signature': ['auth.malformed-signature', GOOD, ''],
    'a signature without an input': ['auth.malformed-signature', '', SIGNATURE],
    'two inputs': ['auth.malformed-signature', `${GOOD}, ${GOOD.replace('sig', 'two')}`],
    'one label twice': ['auth.malformed-signature', `${GOOD}, ${GOOD}`],
    'two signatures': ['auth.malformed-signature', GOOD, `${SIGNATURE}, ${SIGNATURE.replace('sig', 'two')}`],
    'a signature under another label': ['auth.malformed-signature', GOOD, SIGNATURE.replace('sig', 'two')],
    'a signature with parameters': ['auth.malformed-signature', GOOD, `${SIGNATURE};x=1`],
    'a signature that is too short': ['auth.malformed-signature', GOOD, 'sig=:AAAA:'],
    'upper-case labels': [
      'auth.malformed-signature',
      GOOD.replace('sig', 'Sig'),
      SIGNATURE.replace('sig', 'Sig'),
    ],
    'a component with a flag': ['auth.malformed-signature', GOOD.replace('"@method"', '"@method";req')],
    'a component with a key': [
      'auth.malformed-signature',
      GOOD.replace('"@path"', '"content-digest";key="sha-256"'),
    ],
    'a component in upper case': ['auth.malformed-signature', GOOD.replace('@method', '@Method')],
    'another field': ['auth.unexpected-component', GOOD.replace('"@path"', '"@path" "date"')],
    '@target-uri in place of its parts': [
      'auth.unexpected-component',
      GOOD.replace('"@path" "@query"', '"@target-uri"'),
    ],
    '@query-param in place of @query': [
      'auth.unexpected-component',
      GOOD.replace('"@query"', '"@query-param"'),
    ],
    'two spaces between components': ['auth.unexpected-component', GOOD.replace('" "', '"  "')],
    'no components': ['auth.unexpected-component', GOOD.replace(COMPONENTS, '')],
    'a component twice': ['auth.unexpected-component', GOOD.replace('"@path"', '"@path" "@path"')],
    'no method': ['auth.missing-component', GOOD.replace('"@method" ', '')],
    'no authority': ['auth.missing-component', GOOD.replace('"@authority" ', '')],
    'no path': ['auth.missing-component', GOOD.replace('"@path" ', '')],
    'no query': ['auth.missing-component', GOOD.replace(' "@query"', '')],
    'no created': ['auth.missing-parameter', GOOD.replace(';created=1800000000', '')],
    'no expires': ['auth.missing-parameter', GOOD.replace(';expires=1800000060', '')],
    'no nonce': ['auth.missing-parameter', GOOD.replace(/;nonce="A+"/, '')],
    'no keyid': ['auth.missing-parameter', GOOD.replace(/;keyid="[^"]+"/, '')],
    'no alg': ['auth.missing-parameter', GOOD.replace(';alg="ed25519"', '')],
    'no tag': ['auth.missing-parameter', GOOD.replace(';tag="tensorguard-v1"', '')],
    'a parameter twice': ['auth.unexpected-parameter', `${GOOD};created=1900000000`],
    'an unknown parameter': ['auth.unexpected-parameter', `${GOOD};expired=1`],
    'created as a string, which no comparison refuses': [
      'auth.malformed-signature',
      GOOD.replace('created=1800000000', 'created="x"'),
    ],
    'expires as a string': ['auth.malformed-signature', GOOD.replace('=1800000060', '="1800000060"')],
    'created as a decimal': ['auth.malformed-signature', GOOD.replace('=1800000000', '=1800000000.5')],
    'negative created': ['auth.malformed-signature', GOOD.replace('=1800000000', '=-1')],
    'leading zeros': ['auth.malformed-signature', GOOD.replace('=1800000000', '=01800000000')],
    'a key id in upper case': ['auth.malformed-signature', GOOD.replace(KEY_ID, KEY_ID.toUpperCase())],
    'a short nonce': ['auth.malformed-signature', GOOD.replace(/nonce="A+"/, 'nonce="A"')],
    'a folded line': ['auth.malformed-signature', GOOD.replace('" "', '"\n "')],
    'a huge header': ['auth.malformed-signature', `${GOOD.slice(0, -1)}${'x'.repeat(4096)}"`],
  };
  for (const [name, [code, input, signature = SIGNATURE]] of Object.entries(refusals)) {
    it(`with ${name} is refused`, async () => {
      await expectRefusal(code, () => parseSignatureInput(input, signature));
    });
  }

  it('of any other form is refused and nothing else happens', () => {
    const pieces = [
      'sig',
      '=',
      '(',
      ')',
      '"',
      '@method',
      ';',
      'created',
      '1800000000',
      ',',
      ' ',
      ':',
      '\\',
      'é',
    ];
    const text = fc.array(fc.constantFrom(...pieces, COMPONENTS, PARAMETERS), { maxLength: 12 });
    fc.assert(
      fc.property(text, text, (input, signature) => {
        try {
          parseSignatureInput(input.join(''), signature.join(''));
          return false;
        } catch (error) {
          return error instanceof TensorGuardError && error.code.startsWith('auth.');
        }
      }),
    );
  });
});

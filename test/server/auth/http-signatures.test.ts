import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';
import { signRequest } from '../../../lib/agents/http/request-signer.js';
import { createSigningKey } from '../../../lib/package/signing-key.js';
import { contentDigestOf } from '../../../lib/server/auth/content-digest.js';
import {
  type SignatureOptions,
  SignatureVerifier,
  type SignedRequest,
} from '../../../lib/server/auth/http-signatures.js';
import { RosterKeyDirectory } from '../../../lib/server/auth/key-directory.js';
import { createMembers, type Members, rosterBody } from '../../round/support/members.js';
import { expectRefusal } from '../../support/refusals.js';

const NOW_MS = 1_800_000_000_000;

describe('a request signature', () => {
  let members: Members;
  let directory: RosterKeyDirectory;
  let nowMs = NOW_MS;

  before(async () => {
    members = await createMembers({ clients: 3, custodians: 3 });
    directory = new RosterKeyDirectory(rosterBody(members));
  });

  beforeEach(() => {
    nowMs = NOW_MS;
  });

  function verifier(options: SignatureOptions = {}): SignatureVerifier {
    return new SignatureVerifier(directory, { now: () => nowMs, ...options });
  }

  const plain = { method: 'PUT', target: '/v1/rounds/7/plan?dry=1', authority: 'fleet.example.com' };

  async function signed(overrides: Partial<SignedRequest> = {}, key = ownerKey()): Promise<SignedRequest> {
    const contentDigest = contentDigestOf(Buffer.from('the plan'));
    const request = { ...plain, contentDigest, ...overrides };
    const headers = await signRequest(key, request, NOW_MS);
    return {
      ...request,
      signatureInput: headers['Signature-Input'] ?? '',
      signature: headers['Signature'] ?? '',
    };
  }

  function ownerKey() {
    return members.owner.signing;
  }

  /** A signature by the owner over whatever base the caller writes. */
  async function signedAs(
    input: string,
    lines: readonly string[],
    overrides: Partial<SignedRequest> = {},
  ): Promise<SignedRequest> {
    const base = [...lines, `"@signature-params": ${input}`].join('\n');
    const signature = await ownerKey().sign('ed25519', Buffer.from(base));
    return {
      ...plain,
      contentDigest: undefined,
      signatureInput: `sig=${input}`,
      signature: `sig=:${Buffer.from(signature).toString('base64')}:`,
      ...overrides,
    };
  }

  const lines = [
    '"@method": GET',
    '"@authority": fleet.example.com',
    '"@path": /v1/rounds/7/plan',
    '"@query": ?dry=1',
  ];
  const components = '("@method" "@authority" "@path" "@query")';

  function parameters(changes: Record<string, string | undefined> = {}): string {
    const all: Record<string, string | undefined> = {
      created: String(NOW_MS / 1000),
      expires: String(NOW_MS / 1000 + 60),
      nonce: '"AAAAAAAAAAAAAAAAAAAAAA"',
      keyid: `"${Buffer.from(ownerKey().keyId).toString('hex')}"`,
      alg: '"ed25519"',
      tag: '"tensorguard-v1"',
      ...changes,
    };
    return Object.entries(all)
      .flatMap(([name, value]) => (value === undefined ? [] : [`;${name}=${value}`]))
      .join('');
  }

  it('names the machine whose key made it, and the digest that the body must have', async () => {
    const { machine, bodyDigest } = await verifier().verify(await signed(), 'content-digest');
    expect(machine).to.include({ kind: 'machine', role: 'owner', id: 'owner' });
    expect(bodyDigest).to.have.length(32);
  });

  it('gives each key its role', async () => {
    const keys = [members.coordinator, members.custodians[1], members.clients[2]];
    const roles = [];
    for (const member of keys) {
      const { machine } = await verifier().verify(
        await signed({}, (member ?? members.owner).signing),
        'content-digest',
      );
      roles.push(`${machine.role} ${machine.id}`);
    }
    expect(roles).to.deep.equal(['owner coordinator', 'custodian custodian-2', 'client client-3']);
  });

  it('may be written by hand, by the standard alone', async () => {
    const request = await signedAs(`${components}${parameters()}`, lines, { method: 'GET' });
    expect((await verifier().verify(request, 'none')).machine.role).to.equal('owner');
  });

  const changes: Record<string, Partial<SignedRequest>> = {
    method: { method: 'POST' },
    path: { target: '/v1/rounds/8/plan?dry=1' },
    'path that a URL parser calls the same': { target: '/v1/rounds/x/../7/plan?dry=1' },
    'encoding of the path': { target: '/v1/rounds/%37/plan?dry=1' },
    query: { target: '/v1/rounds/7/plan?dry=0' },
    'query, left out': { target: '/v1/rounds/7/plan' },
    authority: { authority: 'other.example.com' },
    port: { authority: 'fleet.example.com:8443' },
    digest: { contentDigest: contentDigestOf(Buffer.from('another plan')) },
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`does not hold for another ${name}`, async () => {
      const request = { ...(await signed()), ...change };
      await expectRefusal('auth.bad-signature', () => verifier().verify(request, 'content-digest'));
    });
  }

  it('is refused when it has expired, and accepted within the skew', async () => {
    const request = await signed();
    nowMs = NOW_MS + 60_000 + 30_001;
    await expectRefusal('auth.expired', () => verifier().verify(request, 'content-digest'));
    nowMs = NOW_MS + 60_000 + 30_000;
    await verifier().verify(request, 'content-digest');
  });

  it('is refused when it comes from the future, beyond the skew', async () => {
    const request = await signed();
    nowMs = NOW_MS - 30_001;
    await expectRefusal('auth.from-the-future', () => verifier().verify(request, 'content-digest'));
    nowMs = NOW_MS - 30_000;
    await verifier().verify(request, 'content-digest');
  });

  it('is refused when it claims to live longer than the window', async () => {
    const input = `${components}${parameters({ expires: String(NOW_MS / 1000 + 61) })}`;
    const request = await signedAs(input, lines, { method: 'GET' });
    await expectRefusal('auth.bad-window', () => verifier().verify(request, 'none'));
  });

  it('is good for one request', async () => {
    const one = verifier();
    const request = await signed();
    await one.verify(request, 'content-digest');
    await expectRefusal('auth.replayed', () => one.verify(request, 'content-digest'));
    nowMs = NOW_MS + 89_000;
    await expectRefusal('auth.replayed', () => one.verify(request, 'content-digest'));
  });

  it('that does not hold leaves no nonce behind', async () => {
    const one = verifier();
    const request = await signed();
    await expectRefusal('auth.bad-signature', () =>
      one.verify({ ...request, method: 'POST' }, 'content-digest'),
    );
    await one.verify(request, 'content-digest');
  });

  it('by a key that the roster does not list is refused', async () => {
    const request = await signed({}, createSigningKey());
    await expectRefusal('auth.unknown-key', () => verifier().verify(request, 'content-digest'));
  });

  it('by one key in the name of another is refused', async () => {
    const impostor = {
      keyId: ownerKey().keyId,
      sign: members.clients[0]?.signing.sign.bind(members.clients[0].signing),
    };
    const headers = await signRequest(
      impostor as Parameters<typeof signRequest>[0],
      { ...plain, method: 'GET' },
      NOW_MS,
    );
    const request: SignedRequest = {
      ...plain,
      method: 'GET',
      contentDigest: undefined,
      signatureInput: headers['Signature-Input'] ?? '',
      signature: headers['Signature'] ?? '',
    };
    await expectRefusal('auth.bad-signature', () => verifier().verify(request, 'none'));
  });

  for (const status of ['suspended', 'revoked'] as const) {
    it(`of a ${status} client is refused, once it is known to be that client`, async () => {
      const clients = rosterBody(members).clients.map((client) => ({ ...client, status }));
      const verify = new SignatureVerifier(new RosterKeyDirectory(rosterBody(members, { clients })), {
        now: () => nowMs,
      });
      const request = await signed({}, members.clients[0]?.signing);
      await expectRefusal(`roster.client-${status}`, () => verify.verify(request, 'content-digest'));
      await expectRefusal('auth.bad-signature', () =>
        verify.verify({ ...request, method: 'POST' }, 'content-digest'),
      );
    });
  }

  it('must cover the digest where the body needs one, and must not where nobody checks it', async () => {
    const without = await signed({ contentDigest: undefined });
    await expectRefusal('auth.missing-component', () => verifier().verify(without, 'content-digest'));
    await verifier().verify(without, 'named-by-path');
    const withDigest = await signed();
    await expectRefusal('auth.unexpected-component', () => verifier().verify(withDigest, 'named-by-path'));
    await expectRefusal('auth.missing-component', () =>
      verifier().verify({ ...withDigest, contentDigest: undefined }, 'content-digest'),
    );
  });

  it('takes one SHA-256 as the digest and nothing else', async () => {
    const digest = contentDigestOf(Buffer.from('the plan'));
    const others = [
      `${digest}, ${digest}`,
      digest.replace('sha-256', 'sha-512'),
      digest.replace('sha-256', 'md5'),
      digest.slice(0, -2),
      '',
    ];
    for (const contentDigest of others) {
      const request = await signed({ contentDigest });
      await expectRefusal('auth.bad-digest', () => verifier().verify(request, 'content-digest'));
    }
  });

  it('by HMAC with the public key as its secret is refused', async () => {
    const refusals = [
      ['"hmac-sha256"', 'sha256', 'auth.malformed-signature'],
      ['"hmac-sha256"', 'sha512', 'auth.wrong-algorithm'],
      ['"ed25519"', 'sha512', 'auth.bad-signature'],
    ] as const;
    for (const [alg, hash, code] of refusals) {
      const input = `${components}${parameters({ alg })}`;
      const base = [...lines, `"@signature-params": ${input}`].join('\n');
      const mac = createHmac(hash, ownerKey().publicKeys.ed25519).update(base).digest('base64');
      const request: SignedRequest = {
        ...plain,
        method: 'GET',
        contentDigest: undefined,
        signatureInput: `sig=${input}`,
        signature: `sig=:${mac}:`,
      };
      await expectRefusal(code, () => verifier().verify(request, 'none'));
    }
  });

  it('for another service or by another algorithm is refused', async () => {
    const refusals: [Record<string, string>, string][] = [
      [{ tag: '"web-bot-auth"' }, 'auth.wrong-tag'],
      [{ alg: '"rsa-v1_5-sha256"' }, 'auth.wrong-algorithm'],
      [{ alg: '"none"' }, 'auth.wrong-algorithm'],
      [{ alg: '"ED25519"' }, 'auth.wrong-algorithm'],
    ];
    for (const [change, code] of refusals) {
      const request = await signedAs(`${components}${parameters(change)}`, lines, { method: 'GET' });
      await expectRefusal(code, () => verifier().verify(request, 'none'));
    }
  });

  it('remembers so many nonces of one key and no more, and then refuses instead of forgetting', async () => {
    const one = verifier({ nonces: { maxNonces: 3, maxNoncesPerKey: 2 } });
    await one.verify(await signed(), 'content-digest');
    await one.verify(await signed(), 'content-digest');
    const third = await signed();
    await expectRefusal('auth.too-many-requests', () => one.verify(third, 'content-digest'));
    const custodian = await signed({}, members.custodians[0]?.signing);
    await one.verify(custodian, 'content-digest');
    const client = await signed({}, members.clients[0]?.signing);
    await expectRefusal('server.overloaded', () => one.verify(client, 'content-digest'));
  });
});

describe('the signature library', () => {
  // RFC 9421, appendix B.1.4 and B.2.6.
  const publicKey = createPublicKey(
    '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n',
  );
  const seed = Buffer.from('n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU', 'base64url');
  const fields = ['date', '@method', '@path', '@authority', 'content-type', 'content-length'];
  const message = {
    method: 'POST',
    url: 'https://example.com/foo?param=Value&Pet=dog',
    headers: {
      Host: 'example.com',
      Date: 'Tue, 20 Apr 2021 02:07:55 GMT',
      'Content-Type': 'application/json',
      'Content-Length': '18',
    },
  };
  const signatureInput =
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"';
  const signature =
    'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:';

  function verify(headers: Record<string, string>): Promise<boolean | null> {
    return httpbis.verifyMessage(
      { keyLookup: async () => ({ algs: ['ed25519'], verify: createVerifier(publicKey, 'ed25519') }) },
      { ...message, headers: { ...message.headers, ...headers } },
    );
  }

  it('verifies the Ed25519 example of RFC 9421', async () => {
    expect(await verify({ 'Signature-Input': signatureInput, Signature: signature })).to.equal(true);
    const changed = signature.replace('wqcA', 'wqcB');
    expect(await verify({ 'Signature-Input': signatureInput, Signature: changed })).to.equal(false);
  });

  it('makes the Ed25519 example of RFC 9421', async () => {
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const signed = await httpbis.signMessage(
      {
        name: 'sig-b26',
        fields,
        params: ['created', 'keyid'],
        paramValues: { created: new Date(1_618_884_473_000), keyid: 'test-key-ed25519' },
        key: createSigner(key as unknown as Buffer, 'ed25519'),
      },
      message,
    );
    expect(signed.headers).to.include({ 'Signature-Input': signatureInput, Signature: signature });
  });
});

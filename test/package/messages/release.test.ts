import { expect } from 'chai';
import { CHUNK_BYTES } from '../../../lib/package/layout.js';
import {
  adapterFingerprint,
  encryptedBytes,
  MAX_WITHDRAWN,
  RELEASE_SEGMENT_BYTES,
  RELEASE_TAG_BYTES,
  releaseMessage,
  segmentCount,
} from '../../../lib/package/messages/release.js';
import { encodeContainer } from '../../../lib/package/writer.js';
import { bytes32, codeOf, ed25519Key, filled, smallBodies, smallInput } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

const numbered = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => {
    const item = filled(32, 0xff);
    new DataView(item.buffer).setUint32(0, i);
    return item;
  });

describe('a release', () => {
  describeRefusals(
    'release',
    ['round', 'baseModel', 'loraMode', 'rollback', 'note'],
    [
      ['counter 0', () => ({ counter: 0 }), 'counter'],
      ['a counter of 33 bits', () => ({ counter: 2 ** 32 }), 'counter'],
      ['no recipients', () => ({ recipients: [] }), 'recipients'],
      [
        'recipients out of order',
        ({ recipients }) => ({ recipients: [...recipients].reverse() }),
        'recipients',
      ],
      [
        'a recipient twice',
        ({ recipients }) => ({ recipients: [recipients[0], recipients[0]] }),
        'recipients',
      ],
      [
        'a recipient without its key',
        ({ recipients }) => ({ recipients: [{ client: recipients[0]?.client }] }),
        'recipients.0.kem',
      ],
      [
        "another fingerprint than the files'",
        () => ({ adapterFingerprint: bytes32(1) }),
        'adapterFingerprint',
      ],
      [
        'an empty file',
        ({ payload }) => ({ payload: { ...payload, tensors: { ...payload.tensors, sizeBytes: 0 } } }),
        'payload.tensors.sizeBytes',
      ],
      [
        'a file of a negative size',
        ({ payload }) => ({ payload: { ...payload, config: { ...payload.config, sizeBytes: -4 } } }),
        'payload.config.sizeBytes',
      ],
      [
        'a configuration above a mebibyte',
        ({ payload }) => ({ payload: { ...payload, config: { ...payload.config, sizeBytes: 2 ** 20 + 1 } } }),
        'payload.config.sizeBytes',
      ],
      [
        'a nonce prefix of another length',
        ({ payload }) => ({ payload: { ...payload, noncePrefix: filled(8, 1) } }),
        'payload.noncePrefix',
      ],
      [
        'a rollback to itself',
        ({ counter }) => ({ rollback: { to: counter, withdrawn: [bytes32(1)] } }),
        'rollback.to',
      ],
      [
        'a rollback that withdraws nothing',
        () => ({ rollback: { to: 1, withdrawn: [] } }),
        'rollback.withdrawn',
      ],
      [
        'a rollback that withdraws what it brings back',
        ({ adapterFingerprint: own }) => ({ rollback: { to: 1, withdrawn: [own] } }),
        'rollback.withdrawn',
      ],
      [
        'withdrawn adapters out of order',
        () => ({ rollback: { to: 1, withdrawn: [bytes32(2), bytes32(1)] } }),
        'rollback.withdrawn',
      ],
      [
        'more withdrawn adapters than a client remembers',
        () => ({ rollback: { to: 1, withdrawn: numbered(MAX_WITHDRAWN + 1) } }),
        'rollback.withdrawn',
      ],
      ['a note of two lines', () => ({ note: 'a\nb' }), 'note'],
      ['a round without its plan', () => ({ round: { cohort: 'a', round: 1 } }), 'round.plan'],
      ['another LoRA mode', () => ({ loraMode: 'both' }), 'loraMode'],
    ],
  );

  it('may go back to an earlier one', () => {
    expect(issuesOf('release', { rollback: { to: 2, withdrawn: numbered(MAX_WITHDRAWN) } })).to.deep.equal(
      [],
    );
  });

  it('has sections of the lengths that its body gives', async () => {
    const input = smallInput('release');
    for (const [i, changed] of [2 * 1168 + 1, 8 + 16 - 1].entries()) {
      const sections = (input.sections ?? []).map((section, at) =>
        at === i ? { ...section, data: filled(changed, 1) } : section,
      );
      expect(await codeOf(() => encodeContainer({ ...input, sections, signer: ed25519Key }))).to.equal(
        'container.wrong-sections',
      );
    }
  });

  it('is encrypted in segments that are the chunks of its section', () => {
    const segment = RELEASE_SEGMENT_BYTES - RELEASE_TAG_BYTES;
    expect(RELEASE_SEGMENT_BYTES).to.equal(CHUNK_BYTES);
    for (const [plaintext, segments] of [
      [1, 1],
      [segment, 1],
      [segment + 1, 2],
      [3 * segment, 3],
    ] as const) {
      expect(segmentCount(plaintext)).to.equal(segments);
      expect(encryptedBytes(plaintext)).to.equal(plaintext + 16 * segments);
      expect(Math.ceil(encryptedBytes(plaintext) / CHUNK_BYTES)).to.equal(segments);
    }
  });

  it('names an adapter by both of its files, their sizes and which is which', () => {
    const { config, tensors } = smallBodies().release.payload;
    const others = [
      { config: tensors, tensors: config },
      { config: { ...config, sizeBytes: 4 }, tensors },
      { config, tensors: { ...tensors, sizeBytes: 6 } },
      { config: { ...config, digest: bytes32(99) }, tensors },
      { config, tensors: { ...tensors, digest: bytes32(99) } },
    ].map((files) => Buffer.from(adapterFingerprint(files)).toString('hex'));
    const own = Buffer.from(adapterFingerprint({ config, tensors })).toString('hex');
    expect(new Set([own, ...others]).size).to.equal(6);
    // Pinned: it is what every client's record holds.
    expect(own).to.equal('34dd43d8a95ff68cb185687e19fe10bf7b0e42e5207e24b197e6de9f8bb4b996');
  });

  it('is a .tgr', () => {
    expect(releaseMessage.extension).to.equal('.tgr');
  });
});

import { expect } from 'chai';
import {
  decodeRecoveryDescription,
  encodeRecoveryDescription,
  type RecoveryDescription,
  recoveryDescriptionDigest,
} from '../../../lib/custody/break-glass/recovery-description.js';
import { hex } from '../../../lib/custody/fields.js';
import { FormatError } from '../../../lib/errors.js';
import { expectRefusal } from '../../support/refusals.js';
import { withBitFlipped } from '../support/bytes.js';
import { newRecovery } from './support/recovery.js';

type Document = Record<string, unknown> & { officers: Record<string, unknown>[] };

describe('descriptions of recovery keys', () => {
  let recovery: RecoveryDescription;
  let text: string;

  before(async () => {
    ({ recovery } = await newRecovery());
    text = encodeRecoveryDescription(recovery);
  });

  function changed(change: (document: Document) => void): string {
    const document = JSON.parse(text) as Document;
    change(document);
    return JSON.stringify(document);
  }

  it('are read back as they were, from one text', () => {
    expect(decodeRecoveryDescription(text)).to.deep.equal(recovery);
    expect(encodeRecoveryDescription(decodeRecoveryDescription(text))).to.equal(text);
  });

  it('are JSON of the documented form', () => {
    expect(JSON.parse(text)).to.deep.equal({
      format: 'tensorguard-native recovery description',
      version: 1,
      fleet: 'fleet-a',
      role: 'custodian',
      id: 'custodian-1',
      setId: recovery.setId,
      threshold: 2,
      kemPublicKey: Buffer.from(recovery.kemPublicKey).toString('base64'),
      officers: recovery.officers.map(({ name, commitment, tag }) => ({
        name,
        commitment: hex(commitment),
        tag: hex(tag),
      })),
    });
  });

  it('are read at their largest: 20 officers with the longest names', async () => {
    const officers = Array.from({ length: 20 }, (_, i) => `${i + 10}${'o'.repeat(62)}`);
    const { recovery: largest } = await newRecovery({ officers, threshold: 20 });
    expect(decodeRecoveryDescription(encodeRecoveryDescription(largest))).to.deep.equal(largest);
  });

  it('have a digest that every field changes', () => {
    const [officer] = recovery.officers as [RecoveryDescription['officers'][0]];
    const rest = recovery.officers.slice(1);
    const variants: RecoveryDescription[] = [
      recovery,
      { ...recovery, fleet: 'fleet-b' },
      { ...recovery, role: 'owner' },
      { ...recovery, id: 'custodian-2' },
      { ...recovery, setId: '0'.repeat(32) },
      { ...recovery, threshold: 3 },
      { ...recovery, kemPublicKey: withBitFlipped(recovery.kemPublicKey, 1215) },
      { ...recovery, officers: rest },
      { ...recovery, officers: [{ ...officer, name: 'mallory' }, ...rest] },
      { ...recovery, officers: [{ ...officer, tag: withBitFlipped(officer.tag, 0) }, ...rest] },
      { ...recovery, officers: [{ ...officer, commitment: withBitFlipped(officer.commitment, 0) }, ...rest] },
    ];
    const digests = variants.map((variant) => hex(recoveryDescriptionDigest(variant)));
    expect(new Set(digests).size).to.equal(variants.length);
    expect(digests[0]).to.have.length(64);
    expect(hex(recoveryDescriptionDigest(decodeRecoveryDescription(text)))).to.equal(digests[0]);
  });

  for (const [what, field, change] of [
    ['another format', 'format', (d) => Object.assign(d, { format: 'tensorguard-native key file' })],
    ['another version', 'version', (d) => Object.assign(d, { version: 2 })],
    ['no fleet', 'fleet', (d) => delete d.fleet],
    ['an unknown role', 'role', (d) => Object.assign(d, { role: 'officer' })],
    ['an id that is none', 'id', (d) => Object.assign(d, { id: 'a/b' })],
    ['a set id in capitals', 'setId', (d) => Object.assign(d, { setId: 'A'.repeat(32) })],
    ['a set id that is short', 'setId', (d) => Object.assign(d, { setId: 'a'.repeat(31) })],
    ['a threshold of one', 'threshold', (d) => Object.assign(d, { threshold: 1 })],
    ['a threshold above the officers', 'threshold', (d) => Object.assign(d, { threshold: 4 })],
    ['a public key that is short', 'kemPublicKey', (d) => Object.assign(d, { kemPublicKey: 'AAAA' })],
    ['an officer twice', 'officers', (d) => d.officers.push({ ...d.officers[0] })],
    ['a name that is none', 'officers.0.name', (d) => Object.assign(d.officers[0] ?? {}, { name: 'a\n' })],
    ['a tag that is short', 'officers.1.tag', (d) => Object.assign(d.officers[1] ?? {}, { tag: 'aa' })],
    [
      'a commitment that is none',
      'officers.2.commitment',
      (d) => Object.assign(d.officers[2] ?? {}, { commitment: 'z'.repeat(64) }),
    ],
    ['another field', 'the document', (d) => Object.assign(d, { seed: 'x' })],
    ['another field of an officer', 'officers.0', (d) => Object.assign(d.officers[0] ?? {}, { share: 'x' })],
  ] as [string, string, (document: Document) => unknown][]) {
    it(`are refused with ${what}`, async () => {
      const error = await expectRefusal('break-glass.malformed-description', () =>
        decodeRecoveryDescription(changed(change)),
      );
      expect(error).to.be.instanceOf(FormatError);
      expect(error.message).to.contain(`in: ${field}:`);
    });
  }

  it('are refused in any other spelling', async () => {
    const { officers, ...others } = JSON.parse(text) as Document;
    for (const spelling of [
      `${text}\n`,
      JSON.stringify(JSON.parse(text), null, 2),
      JSON.stringify({ officers, ...others }),
      text.replace('"version":1', '"version":2,"version":1'),
      text.replace('fleet-a', 'fleet\\u002da'),
      changed((d) => Object.assign(d, { kemPublicKey: String(d.kemPublicKey).replace(/=+$/, '') })),
      changed((d) => Object.assign(d.officers[0] ?? {}, { tag: String(d.officers[0]?.tag).toUpperCase() })),
    ]) {
      const error = await expectRefusal('break-glass.malformed-description', () =>
        decodeRecoveryDescription(spelling),
      );
      expect(error.message).to.contain('canonical');
    }
  });

  it('are refused when they are no JSON, cut short or too long', async () => {
    for (const [wrong, why] of [
      ['', 'is not JSON'],
      [text.slice(0, -1), 'is not JSON'],
      ['null', 'the document'],
      ['[]', 'the document'],
      [text + ' '.repeat(20_000), 'is too long'],
    ] as const) {
      const error = await expectRefusal('break-glass.malformed-description', () =>
        decodeRecoveryDescription(wrong),
      );
      expect(error.message).to.contain(why);
    }
  });
});

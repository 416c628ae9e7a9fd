import { expect } from 'chai';
import fc from 'fast-check';
import {
  checkSetting,
  documentOf,
  SETTINGS,
  settingOf,
  settingsInDocument,
} from '../../lib/policy/settings.js';
import { expectRefusal } from '../support/refusals.js';
import { documentWith, OPTIONAL_SETTINGS, SETTING_EXAMPLES } from './support/setting-values.js';

describe('the settings of a policy', () => {
  it('are all those that the examples know, and no others', () => {
    expect(SETTINGS.map(({ field }) => field)).to.have.members(Object.keys(SETTING_EXAMPLES));
    expect(SETTINGS.filter(({ isOptional }) => isOptional).map(({ field }) => field)).to.have.members(
      OPTIONAL_SETTINGS,
    );
  });

  it('each have a text for what they allow and what they mean', () => {
    for (const { field, allowed, meaning } of SETTINGS) {
      expect(allowed, field).to.match(/^[a-z]/);
      expect(meaning, field).to.match(/^[A-Z`a-z]/);
      expect(`${allowed} ${meaning}`, field).not.to.include('undefined');
    }
  });

  for (const [field, { good, bad }] of Object.entries(SETTING_EXAMPLES)) {
    it(`${field} accepts what is within its bounds, and refuses what is not with its name`, async () => {
      for (const value of good) {
        expect(settingsInDocument(documentWith(field, value), 'file').get(field)).to.deep.equal(value);
      }
      for (const value of bad) {
        const error = await expectRefusal('policy.bad-value', () =>
          settingsInDocument(documentWith(field, value), 'fleet.yaml'),
        );
        expect(error.message).to.include(`fleet.yaml: ${field}`).and.include(settingOf(field).allowed);
      }
    });
  }

  const numeric = Object.entries(SETTING_EXAMPLES).flatMap(([field, { good }]) => {
    const ends = good.filter((value) => typeof value === 'number');
    if (field === 'encryption.securityLevel' || ends.length < 2) return [];
    // 1e-9 stands for "above 0" there.
    const [min, max] = [Math.min(...ends), Math.max(...ends)];
    return [{ field, min: min === 1e-9 ? Number.MIN_VALUE : min, max }];
  });

  it('accept a number exactly where it lies between both ends', () => {
    const place = fc.double({ min: -0.5, max: 1.5, noNaN: true });
    fc.assert(
      fc.property(fc.constantFrom(...numeric), place, fc.boolean(), ({ field, min, max }, at, rounded) => {
        const exact = min + at * (max - min);
        const value = rounded ? Math.round(exact) : exact;
        const { schema, allowed } = settingOf(field);
        const mayBeFraction = !allowed.startsWith('an integer');
        const expected = value >= min && value <= max && (mayBeFraction || Number.isInteger(value));
        expect(schema.safeParse(value).success, `${field} = ${value}`).to.equal(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('may be unset by null only where they are optional', async () => {
    for (const setting of SETTINGS) {
      if (setting.isOptional) expect(checkSetting(setting, null, 'file')).to.equal(undefined);
      else await expectRefusal('policy.bad-value', () => checkSetting(setting, null, 'file'));
      await expectRefusal('policy.bad-value', () => checkSetting(setting, undefined, 'file'));
    }
  });

  it('take a number of bits for both ends of the range', async () => {
    const values = settingsInDocument({ training: { bits: 5 } }, 'file');
    expect([...values]).to.deep.equal([
      ['training.bits.min', 5],
      ['training.bits.max', 5],
    ]);
    await expectRefusal('policy.bad-value', () => settingsInDocument({ training: { bits: 9 } }, 'file'));
  });

  it('refuse names that do not exist, wherever they are', async () => {
    for (const document of [
      { privcy: {} },
      { privacy: { epsilom: 1 } },
      { training: { bits: { mean: 4 } } },
      JSON.parse('{"__proto__": {"epsilon": 1}}'),
      { privacy: { constructor: 1 } },
      { 'privacy.epsilon': 1 },
    ]) {
      await expectRefusal('policy.unknown-field', () => settingsInDocument(document, 'file'));
    }
  });

  it('refuse anything but objects where sections are', async () => {
    for (const document of [
      null,
      [],
      1,
      'privacy',
      { privacy: [] },
      { privacy: null },
      { training: { gradientNorm: 3 } },
    ]) {
      await expectRefusal('policy.bad-value', () => settingsInDocument(document, 'file'));
    }
  });

  it('come back from the document that they are written to', () => {
    const values = new Map(Object.entries(SETTING_EXAMPLES).map(([field, { good }]) => [field, good[0]]));
    expect(settingsInDocument(documentOf(values), 'file')).to.deep.equal(values);
  });
});

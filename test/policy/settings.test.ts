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

  it('accept a number exactly where both its ends surround it', () => {
    const numeric = Object.entries(SETTING_EXAMPLES).flatMap(([field, { good }]) => {
      const ends = good.filter((value) => typeof value === 'number');
      return field !== 'encryption.securityLevel' && ends.length > 1
        ? [
            {
              field,
              min: Math.min(...ends),
              max: Math.max(...ends),
              whole: ends.every(Number.isInteger) && !good.includes(0.5),
            },
          ]
        : [];
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...numeric),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        (range, x, rounded) => {
          const { field, min, max } = range;
          const span = max - min;
          // Reaches some way beyond either end.
          const spread = min + (span * 1.5 * Math.tanh(x % 3)) / 1;
          const value = rounded ? Math.round(spread) : spread;
          const setting = settingOf(field);
          const accepted = setting.schema.safeParse(value).success;
          const mustBeWhole = setting.allowed.startsWith('an integer');
          if (value > max || value <= 0 - (min === 0 ? Number.MIN_VALUE : 0))
            expect(accepted, `${field} ${value}`).to.equal(false);
          else if (value >= min)
            expect(accepted, `${field} ${value}`).to.equal(!mustBeWhole || Number.isInteger(value));
        },
      ),
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

import { expect } from 'chai';
import {
  ENVIRONMENT_ALIASES,
  LOG_LEVELS,
  logLevelIn,
  settingsInEnvironment,
} from '../../lib/policy/environment.js';
import { SETTINGS, settingOf } from '../../lib/policy/settings.js';
import { expectRefusal } from '../support/refusals.js';
import { OPTIONAL_SETTINGS, SETTING_EXAMPLES } from './support/setting-values.js';

const NAMES: Readonly<Record<string, string>> = {
  'privacy.noiseMultiplier': 'TENSORGUARD_PRIVACY_NOISE_MULTIPLIER',
  'training.keepRatio': 'TENSORGUARD_TRAINING_KEEP_RATIO',
  'envelope.maxUpdateBytes': 'TENSORGUARD_ENVELOPE_MAX_UPDATE_BYTES',
  'training.gradientNorm.max': 'TENSORGUARD_TRAINING_GRADIENT_NORM_MAX',
  'training.bits.min': 'TENSORGUARD_TRAINING_BITS_MIN',
  experts: 'TENSORGUARD_EXPERTS',
};

/** A value as an operator would write it: lists of words by commas, of objects or of none as JSON. */
function textOf(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  const words = value.length > 0 && value.every((element) => typeof element === 'string');
  return words ? value.join(', ') : JSON.stringify(value);
}

describe('environment variables', () => {
  it('are named after section and field', () => {
    for (const [field, name] of Object.entries(NAMES))
      expect(settingOf(field).environmentName).to.equal(name);
  });

  it('have a name for every setting, and none for two', () => {
    const names = [...SETTINGS.map(({ environmentName }) => environmentName), ...ENVIRONMENT_ALIASES.keys()];
    expect(new Set(names).size).to.equal(names.length);
    expect(SETTINGS).to.have.length(Object.keys(SETTING_EXAMPLES).length);
  });

  for (const [field, { good, bad }] of Object.entries(SETTING_EXAMPLES)) {
    it(`set ${field} to all that it allows, and refuse the rest by name`, async () => {
      const { environmentName: name, isOptional } = settingOf(field);
      for (const value of good) {
        const { values, names } = settingsInEnvironment({ [name]: ` ${textOf(value)} ` });
        expect([...values]).to.deep.equal([[field, value]]);
        expect([...names]).to.deep.equal([[field, name]]);
      }
      // What text cannot express is left out: "1" is a number here, and a word may be a list of one.
      for (const value of bad.filter((each) => typeof each === 'number' && Number.isFinite(each))) {
        const error = await expectRefusal('policy.bad-value', () =>
          settingsInEnvironment({ [name]: String(value) }),
        );
        expect(error.message).to.include(name).and.include(settingOf(field).allowed);
      }
      await expectRefusal('policy.bad-value', () => settingsInEnvironment({ [name]: '[{"a":' }));
      expect(isOptional).to.equal(OPTIONAL_SETTINGS.includes(field));
      if (isOptional) {
        expect([...settingsInEnvironment({ [name]: 'none' }).values]).to.deep.equal([[field, undefined]]);
      }
    });
  }

  it('take numbers in decimal only', async () => {
    for (const text of ['0x10', '1_000', '1e', 'Infinity', 'NaN', '1,5', '.5', '1 000', '--1']) {
      await expectRefusal('policy.bad-value', () =>
        settingsInEnvironment({ TENSORGUARD_PRIVACY_EPSILON: text }),
      );
    }
    expect(settingsInEnvironment({ TENSORGUARD_PRIVACY_DELTA: '1e-6' }).values.get('privacy.delta')).to.equal(
      1e-6,
    );
  });

  it('are unset where they are empty', () => {
    const { values } = settingsInEnvironment({
      TENSORGUARD_PRIVACY_EPSILON: '',
      TENSORGUARD_DP_EPSILON: '  ',
      TENSORGUARD_PRESET: '',
      TENSORGUARD_PRIVACY_EPSILOM: '',
    });
    expect(values.size).to.equal(0);
  });

  for (const name of [
    'TENSORGUARD_PRIVACY_NOISE_MULTIPLYER',
    'TENSORGUARD_PRIVACY_',
    'TENSORGUARD_PRIVACY',
    'TENSORGUARD_ENVELOPE_MAXUPDATEBYTES',
    'TENSORGUARD_ENCRYPTION_QUORUM_',
    'TENSORGUARD_TRAINING_GRADIENT_NORM',
    'TENSORGUARD_SAFETY_MIN_SUCCES_RATE',
    'TENSORGUARD_EXPERTS_VISION',
  ]) {
    it(`are refused under the name ${name}, which is no setting`, async () => {
      const error = await expectRefusal('policy.unknown-variable', () =>
        settingsInEnvironment({ [name]: '1' }),
      );
      expect(error.message).to.include(`${name} is no setting`);
    });
  }

  it('name the settings of the section where one is misspelt', async () => {
    const error = await expectRefusal('policy.unknown-variable', () =>
      settingsInEnvironment({ TENSORGUARD_PRIVACY_NOISE: '1' }),
    );
    expect(error.message)
      .to.include('TENSORGUARD_PRIVACY_NOISE_MULTIPLIER')
      .and.not.include('TENSORGUARD_SAFETY');
  });

  it('of other parts of the package are left alone', () => {
    const others = {
      TENSORGUARD_FORCE_ISA: 'scalar',
      TENSORGUARD_LOG_LEVEL: 'debug',
      TENSORGUARD_PRIVACYX: '1',
      PRIVACY_EPSILON: '1',
      PATH: '/bin',
    };
    expect(settingsInEnvironment(others).values.size).to.equal(0);
  });

  const aliases: [name: string, text: string, values: [string, unknown][]][] = [
    ['TENSORGUARD_SECURITY_LEVEL', '192', [['encryption.securityLevel', 192]]],
    ['TENSORGUARD_DP_EPSILON', '2.5', [['privacy.epsilon', 2.5]]],
    ['TENSORGUARD_DEFAULT_SPARSITY', 'auto', [['training.keepRatio', 'auto']]],
    ['TENSORGUARD_MAX_GRADIENT_NORM', '5', [['training.gradientNorm.max', 5]]],
    [
      'TENSORGUARD_TRAINING_BITS',
      '4',
      [
        ['training.bits.min', 4],
        ['training.bits.max', 4],
      ],
    ],
  ];
  for (const [name, text, values] of aliases) {
    it(`have ${name} as another name, which may repeat and not contradict the long one`, async () => {
      expect([...settingsInEnvironment({ [name]: text }).values]).to.deep.equal(values);
      const long = settingOf(values[0]?.[0] ?? '').environmentName;
      expect(settingsInEnvironment({ [name]: text, [long]: text }).names.get(values[0]?.[0] ?? '')).to.equal(
        long,
      );
      const other = long.endsWith('SECURITY_LEVEL') ? '128' : long.endsWith('KEEP_RATIO') ? '0.3' : '3';
      const error = await expectRefusal('policy.conflicting-variables', () =>
        settingsInEnvironment({ [name]: text, [long]: other }),
      );
      expect(error.message).to.include(name).and.include(long);
    });
  }

  it('compare values and not spellings', () => {
    const { values } = settingsInEnvironment({
      TENSORGUARD_DP_EPSILON: '1.0',
      TENSORGUARD_PRIVACY_EPSILON: '1',
    });
    expect(values.get('privacy.epsilon')).to.equal(1);
  });

  it('name the preset, if it exists', async () => {
    expect(settingsInEnvironment({ TENSORGUARD_PRESET: 'conservative' }).preset).to.equal('conservative');
    await expectRefusal('policy.unknown-preset', () =>
      settingsInEnvironment({ TENSORGUARD_PRESET: 'constructor' }),
    );
  });

  it('give the log level of the process', async () => {
    expect(logLevelIn({})).to.equal('info');
    for (const level of LOG_LEVELS) expect(logLevelIn({ TENSORGUARD_LOG_LEVEL: level })).to.equal(level);
    await expectRefusal('policy.bad-value', () => logLevelIn({ TENSORGUARD_LOG_LEVEL: 'verbose' }));
  });
});

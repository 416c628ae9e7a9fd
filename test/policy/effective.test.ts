import { expect } from 'chai';
import fc from 'fast-check';
import { effectivePolicy, listEffectiveSettings } from '../../lib/policy/effective.js';
import type { PolicyFile } from '../../lib/policy/load.js';
import { presetPolicy } from '../../lib/policy/presets.js';
import { SETTINGS, settingsInDocument } from '../../lib/policy/settings.js';
import { expectRefusal } from '../support/refusals.js';

function file(document: unknown, preset?: PolicyFile['preset']): PolicyFile {
  const values = settingsInDocument(document, 'site.yaml');
  return preset === undefined ? { path: 'site.yaml', values } : { path: 'site.yaml', preset, values };
}

describe('the policy in force', () => {
  it('is the balanced preset where nothing is said', () => {
    const { policy, preset, sources } = effectivePolicy({ environment: {} });
    expect(policy).to.deep.equal(presetPolicy('balanced'));
    expect(preset).to.equal('balanced');
    expect(new Set(sources.values())).to.deep.equal(new Set(['preset balanced']));
    expect([...sources.keys()]).to.deep.equal(SETTINGS.map(({ field }) => field));
  });

  it('takes each setting from the command line, else the environment, else the file, else the preset', () => {
    const flags = fc.record({ option: fc.boolean(), environment: fc.boolean(), file: fc.boolean() });
    fc.assert(
      fc.property(flags, (has) => {
        const { policy, sources } = effectivePolicy({
          environment: has.environment ? { TENSORGUARD_PRIVACY_EPSILON: '2' } : {},
          file: has.file ? file({ privacy: { epsilon: 3 } }) : undefined,
          overrides: has.option ? { privacy: { epsilon: 1 } } : undefined,
        });
        const [value, source] = has.option
          ? [1, 'option']
          : has.environment
            ? [2, 'environment TENSORGUARD_PRIVACY_EPSILON']
            : has.file
              ? [3, 'file site.yaml']
              : [10, 'preset balanced'];
        expect([policy.privacy.epsilon, sources.get('privacy.epsilon')]).to.deep.equal([value, source]);
        expect(sources.get('privacy.delta')).to.equal('preset balanced');
      }),
    );
  });

  it('takes the preset from the command line, else the environment, else the file', async () => {
    const from = file({}, 'performance');
    const environment = { TENSORGUARD_PRESET: 'conservative' };
    expect(effectivePolicy({ environment: {}, file: from }).preset).to.equal('performance');
    expect(effectivePolicy({ environment, file: from }).preset).to.equal('conservative');
    expect(effectivePolicy({ environment, file: from, preset: 'balanced' }).preset).to.equal('balanced');
    await expectRefusal('policy.unknown-preset', () => effectivePolicy({ environment, preset: 'toString' }));
  });

  it('merges objects field by field and replaces lists whole', () => {
    const { policy } = effectivePolicy({
      environment: { TENSORGUARD_ENVELOPE_FULL_LAYERS: 'score' },
      file: file({
        envelope: { allowedModules: ['a.**', 'b.**'], fullLayers: ['lm_head'] },
        training: { gradientNorm: { max: 3 } },
      }),
      overrides: { envelope: { allowedModules: ['c.**'] } },
    });
    expect(policy.envelope).to.deep.include({
      allowedModules: ['c.**'],
      fullLayers: ['score'],
      canaryPercent: 10,
    });
    expect(policy.training.gradientNorm).to.deep.equal({ min: 1e-6, max: 3 });
  });

  it('unsets an optional setting that a later source sets to nothing', () => {
    const overrides = { privacy: { clip: null } };
    const { policy, sources } = effectivePolicy({ environment: {}, overrides });
    expect(policy.privacy).not.to.have.property('clip');
    expect(sources.get('privacy.clip')).to.equal('option');
  });

  it('names the source of a setting that contradicts another', async () => {
    const error = await expectRefusal('policy.contradiction', () =>
      effectivePolicy({
        environment: { TENSORGUARD_ENCRYPTION_QUORUM: '2' },
        file: file({}, 'conservative'),
      }),
    );
    expect(error.message)
      .to.include('encryption.quorum is 2')
      .and.include('environment TENSORGUARD_ENCRYPTION_QUORUM');
  });

  it('does not let a mechanism be turned on without the clip that it needs', async () => {
    await expectRefusal('policy.contradiction', () =>
      effectivePolicy({ environment: {}, overrides: { privacy: { mechanism: 'skellam', clip: null } } }),
    );
  });

  it('refuses options that do not exist', async () => {
    const error = await expectRefusal('policy.unknown-field', () =>
      effectivePolicy({ environment: {}, overrides: { training: { bit: 4 } } }),
    );
    expect(error.message).to.match(/^option: training\.bit /);
  });

  it('lists all settings with value and source', () => {
    const list = listEffectiveSettings(effectivePolicy({ environment: { TENSORGUARD_TRAINING_BITS: '6' } }));
    expect(list).to.have.length(SETTINGS.length);
    expect(list.find(({ field }) => field === 'training.bits.max')).to.deep.equal({
      field: 'training.bits.max',
      environmentName: 'TENSORGUARD_TRAINING_BITS_MAX',
      value: 6,
      source: 'environment TENSORGUARD_TRAINING_BITS',
    });
    expect(list.find(({ field }) => field === 'training.maxRelativeError')?.value).to.equal(undefined);
  });
});

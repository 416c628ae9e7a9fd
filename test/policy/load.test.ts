import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { effectivePolicy } from '../../lib/policy/effective.js';
import { MAX_POLICY_FILE_BYTES, readPolicyFile } from '../../lib/policy/load.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(await temporaryDirectory(), name);
  await writeFile(path, content);
  return path;
}

describe('a policy file', () => {
  it('says the same in YAML and in JSON', async () => {
    const yaml = await readPolicyFile(
      await written(
        'a.yaml',
        '# site 7\npreset: conservative\nprivacy:\n  epsilon: 0.5\ntraining:\n  bits: {min: 4, max: 6}\n',
      ),
    );
    const json = await readPolicyFile(
      await written(
        'a.json',
        '{"preset":"conservative",\n\t"privacy":{"epsilon":0.5},"training":{"bits":{"min":4,"max":6}}}',
      ),
    );
    expect(yaml.values).to.deep.equal(json.values);
    expect([yaml.preset, json.preset]).to.deep.equal(['conservative', 'conservative']);
    expect([...yaml.values]).to.deep.equal([
      ['privacy.epsilon', 0.5],
      ['training.bits.min', 4],
      ['training.bits.max', 6],
    ]);
  });

  it('may name no preset, and may be an empty object', async () => {
    const file = await readPolicyFile(await written('a.yml', '{}'));
    expect(file).not.to.have.property('preset');
    expect(file.values.size).to.equal(0);
  });

  it('is the example of docs/policies.md', async () => {
    const page = await readFile('docs/policies.md', 'utf8');
    const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const { policy } = effectivePolicy({
      file: await readPolicyFile(await written('fleet.yaml', example)),
      environment: {},
    });
    expect(policy.privacy).to.include({ mechanism: 'skellam', noiseMultiplier: 30 });
    expect(policy.training.keepRatios).to.deep.equal([
      { modules: ['**.q_proj', '**.v_proj'], keepRatio: 0.05 },
    ]);
    expect(policy.experts.map(({ name }) => name)).to.deep.equal(['vision', 'action']);
  });

  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]},`.repeat(8)}]`),
  ].join('\n');
  const malformed: Record<string, [name: string, content: string | Uint8Array]> = {
    'a YAML bomb of aliases': ['a.yaml', bomb],
    'a single alias': ['a.yaml', 'envelope: {allowedModules: &m [a], fullLayers: *m}'],
    'an alias to an empty list': ['a.yaml', 'envelope: {fullLayers: &m []}\nexperts: *m'],
    'a merge key': ['a.yaml', 'privacy: &p {epsilon: 1}\ntraining:\n  <<: *p'],
    'a tag of its own': ['a.yaml', 'privacy: !danger {epsilon: 1}'],
    'a tag of YAML': ['a.yaml', 'privacy: {epsilon: !!float 1}'],
    'a binary tag': ['a.yaml', 'preset: !!binary aGk='],
    'a key that occurs twice in YAML': ['a.yaml', 'privacy: {epsilon: 1, epsilon: 100}'],
    'a section that occurs twice in YAML': ['a.yaml', 'privacy: {epsilon: 1}\nprivacy: {delta: 1e-6}'],
    'a key that occurs twice in JSON': ['a.json', '{"privacy": {"epsilon": 1,\n\t\t"epsilon": 100}}'],
    'a key that occurs twice in JSON, once escaped': [
      'a.json',
      '{"privacy": {"epsilon": 1, "epsilo\\u006e": 100}}',
    ],
    'two documents': ['a.yaml', 'preset: balanced\n---\npreset: performance'],
    'broken YAML': ['a.yaml', 'privacy: {epsilon: 1'],
    'YAML under the name of JSON': ['a.json', 'preset: balanced'],
    'brackets without end': ['a.yaml', '['.repeat(60_000)],
    'brackets that close': ['a.json', `{"experts": ${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    'brackets that strings seem to close': ['a.yaml', '["]", '.repeat(10_000)],
    'lists in lists in lists': ['a.yaml', '- '.repeat(30_000)],
    'keys in keys in keys': [
      'a.yaml',
      Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
    ],
    'bytes that are not UTF-8': ['a.yaml', new Uint8Array([0x61, 0x3a, 0xff])],
    'an empty file': ['a.yaml', ''],
    'only a comment': ['a.yaml', '# nothing'],
    'an empty JSON file': ['a.json', ''],
    'a list': ['a.json', '[]'],
    'a word': ['a.yaml', 'balanced'],
  };
  for (const [what, [name, content]] of Object.entries(malformed)) {
    it(`is refused as malformed: ${what}`, async () => {
      const path = await written(name, content);
      const error = await expectRefusal('policy.file-malformed', () => readPolicyFile(path));
      expect(error.message).to.include(path);
      expect(error.message.length).to.be.lessThan(400);
    });
  }

  it('is refused for a field, with file, path and what is allowed', async () => {
    const path = await written('site.yaml', 'privacy:\n  noiseMultiplier: "20"\n');
    const error = await expectRefusal('policy.bad-value', () => readPolicyFile(path));
    expect(error.message).to.equal(
      `${path}: privacy.noiseMultiplier must be a number from 0 to 10000; it is "20". Allowed is a number from 0 to 10000.`,
    );
    const inside = await written(
      'site.json',
      '{"training":{"keepRatios":[{"modules":["a"],"keepRatio":7}]}}',
    );
    const deeper = await expectRefusal('policy.bad-value', () => readPolicyFile(inside));
    expect(deeper.message).to.include(
      'training.keepRatios [0].keepRatio must be a number above 0, at most 1',
    );
  });

  const others: Record<string, [code: string, name: string, content: string]> = {
    'an unknown field': ['policy.unknown-field', 'a.yaml', 'privacy: {epsilom: 1}'],
    'a prototype for a section': ['policy.unknown-field', 'a.json', '{"__proto__": {"epsilon": 1}}'],
    'an unknown preset': ['policy.unknown-preset', 'a.yaml', 'preset: reckless'],
    'no preset in its place': ['policy.unknown-preset', 'a.yaml', 'preset: null'],
    'a number too large for JSON': ['policy.bad-value', 'a.json', '{"privacy": {"epsilon": 1e999}}'],
    'another extension': ['policy.file-type', 'a.toml', 'preset = "balanced"'],
    'too many bytes': [
      'policy.file-too-large',
      'a.yaml',
      `preset: balanced # ${'x'.repeat(MAX_POLICY_FILE_BYTES)}`,
    ],
  };
  for (const [what, [code, name, content]] of Object.entries(others)) {
    it(`is refused: ${what}`, async () => {
      const path = await written(name, content);
      await expectRefusal(code, () => readPolicyFile(path));
    });
  }

  it('is refused where it is missing, a directory or a pipe', async () => {
    const directory = await temporaryDirectory();
    await expectRefusal('policy.file-unreadable', () => readPolicyFile(join(directory, 'missing.yaml')));
    await mkdir(join(directory, 'd.yaml'));
    await expectRefusal('policy.file-type', () => readPolicyFile(join(directory, 'd.yaml')));
    const pipe = join(directory, 'pipe.yaml');
    expect(spawnSync('mkfifo', [pipe]).status).to.equal(0);
    await expectRefusal('policy.file-type', () => readPolicyFile(pipe));
  });
});

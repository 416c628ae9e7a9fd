import { mkdir, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { readTrainingMetadata } from '../../lib/adapter/training-metadata.js';
import { EnvironmentError, FormatError } from '../../lib/errors.js';
import { safetySchema, trainingSchema, updateSchema } from '../../lib/package/messages/update.js';
import { expectRefusal, refusalOf } from './refusals.js';
import { withDirectory } from './safetensors-vectors.js';

const HASH = '00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF';

const everything = {
  training: {
    steps: 1000,
    learningRate: 1e-4,
    objective: 'il',
    rewardVersion: 'v2',
    samples: 8000,
    datasetHash: HASH,
    demonstrations: 50,
    durationMs: 60_000.5,
  },
  safety: {
    saturatedValues: 3,
    constraintViolations: 0,
    oodScore: -0.5,
    klDivergence: 0.1,
    gradientNormMean: 0.7,
    gradientNormMax: 9,
  },
  experts: { vision: 0, language: 0.25, action: 1 },
  compatibility: { robotModel: 'so-101', policyFamily: 'smolvla', normalizationHash: HASH },
};

/** What Hugging Face's Trainer writes: abbreviated, the keys and the kinds of log entries as they are. */
const trainerState = {
  best_metric: null,
  epoch: 3.0,
  global_step: 2193,
  is_world_process_zero: true,
  log_history: [
    { epoch: 0.68, grad_norm: 8.75, learning_rate: 3.860009119927041e-5, loss: 1.9422, step: 500 },
    { epoch: 2.74, grad_norm: 1.25, learning_rate: 4.380209758321933e-6, loss: 1.2, step: 2000 },
    { epoch: 3.0, eval_loss: 1.1, eval_runtime: 12.5, step: 2193 },
    { epoch: 3.0, step: 2193, total_flos: 9168905732313600, train_runtime: 3680.7884, train_loss: 1.4 },
  ],
  max_steps: 2193,
  num_train_epochs: 3,
  train_batch_size: 8,
  trial_params: null,
};

/** What LeRobot writes: abbreviated. */
const trainConfig = {
  dataset: { repo_id: 'HuggingFaceVLA/libero', episodes: null },
  env: null,
  policy: { type: 'smolvla', n_obs_steps: 1, optimizer_lr: 1e-3 },
  batch_size: 32,
  steps: 100_000,
  optimizer: { type: 'adamw', lr: 1e-3, weight_decay: 1e-10 },
  peft: { method_type: 'LORA', r: 64 },
};
const trainingStep = {
  step: 5000,
  dp_world_size: 1,
  batch_size: 32,
  grad_accum_steps: 1,
  parallelism: { dp_replicate: 1, dp_shard: 1 },
};

async function writeJson(path: string, value: unknown): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

describe('training metadata from a file of the user', () => {
  it('has all fields that an update may carry, and an update accepts them', async () => {
    await withDirectory(async (directory) => {
      const file = await writeJson(join(directory, 'my.json'), everything);
      const { sources, warnings, ...facts } = await readTrainingMetadata(directory, file);
      const hash = new Uint8Array(Buffer.from(HASH, 'hex'));
      expect(facts).to.deep.equal({
        ...everything,
        training: { ...everything.training, datasetHash: hash },
        compatibility: { ...everything.compatibility, normalizationHash: hash },
      });
      expect(warnings).to.deep.equal([]);
      expect(sources).to.have.length(8 + 6 + 1 + 3);
      expect(new Set(sources.map((source) => source.file))).to.deep.equal(new Set([file]));
      for (const name of ['training', 'safety', 'experts', 'compatibility'] as const) {
        expect(updateSchema.shape[name].parse(facts[name]), name).to.deep.equal(facts[name]);
      }
    });
  });

  it('knows exactly the fields of an update', () => {
    expect(Object.keys(everything.training)).to.have.members(Object.keys(trainingSchema.shape));
    expect(Object.keys(everything.safety)).to.have.members(Object.keys(safetySchema.shape));
    expect(Object.keys(everything.compatibility)).to.have.members(
      Object.keys(updateSchema.shape.compatibility.unwrap().shape),
    );
  });

  it('may say little or nothing', async () => {
    await withDirectory(async (directory) => {
      const file = await writeJson(join(directory, 'my.json'), {});
      expect(await readTrainingMetadata(directory, file)).to.deep.equal({ sources: [], warnings: [] });
    });
  });

  const refused: [what: string, content: unknown, ...parts: string[]][] = [
    ['an unknown section', { trainings: {} }, '"trainings"'],
    ['an unknown field', { training: { lerningRate: 1 } }, '"training.lerningRate"'],
    ['a negative count', { training: { steps: -1 } }, '"training.steps"'],
    ['a fraction of a step', { training: { steps: 1.5 } }, '"training.steps"'],
    ['more than 2^40 samples', { training: { samples: 2 ** 40 + 1 } }, '"training.samples"'],
    ['a hash that is too short', { training: { datasetHash: 'ab' } }, '"training.datasetHash"', '64'],
    ['an objective that is none', { training: { objective: 'rl' } }, '"training.objective"'],
    ['a text that would forge a log line', { compatibility: { robotModel: 'a\nb' } }, 'robotModel'],
    ['a negative norm', { safety: { gradientNormMax: -1 } }, '"safety.gradientNormMax"'],
    ['a number that is infinite', '{"safety":{"oodScore":1e999}}', '"safety.oodScore"'],
    ['a number that is none', '{"safety":{"oodScore":NaN}}', 'offset'],
    ['an expert that is no name', { experts: { 'a b': 1 } }, 'a b'],
    ['a negative expert weight', { experts: { action: -1 } }, '"experts.action"'],
    ['a key that occurs twice', '{"training":{"steps":1,"steps":2}}', 'occurs twice', '"steps"'],
    ['an early end', '{"training":'],
    ['a list', []],
    ['more than 1 MiB', `{}${' '.repeat(1 << 20)}`, '1048576'],
  ];
  for (const [what, content, ...parts] of refused) {
    it(`is refused for ${what}`, async () => {
      await withDirectory(async (directory) => {
        const file = await writeJson(join(directory, 'my.json'), content);
        const read = () => readTrainingMetadata(directory, file);
        await expectRefusal(read, 'training.malformed', file, ...parts);
        expect(await refusalOf(read)).to.be.instanceOf(FormatError);
      });
    });
  }

  it('is refused where it is not UTF-8, a link, a directory, or missing', async () => {
    await withDirectory(async (directory) => {
      const read = (name: string) => readTrainingMetadata(directory, join(directory, name));
      await writeFile(join(directory, 'latin.json'), Buffer.from('{"\xe4":1}', 'latin1'));
      await writeJson(join(directory, 'real.json'), {});
      await symlink(join(directory, 'real.json'), join(directory, 'link.json'));
      await mkdir(join(directory, 'directory.json'));
      for (const name of ['latin.json', 'link.json', 'directory.json']) {
        await expectRefusal(() => read(name), 'training.malformed', name);
      }
      await expectRefusal(() => read('none.json'), 'training.file-missing', 'none.json');
      expect(await refusalOf(() => read('none.json'))).to.be.instanceOf(EnvironmentError);
    });
  });
});

describe('training metadata that trainers leave beside an adapter', () => {
  it('is nothing where there is nothing', async () => {
    await withDirectory(async (directory) => {
      expect(await readTrainingMetadata(directory)).to.deep.equal({ sources: [], warnings: [] });
    });
  });

  it("holds steps, last learning rate and duration of Hugging Face's Trainer, and no guess of samples", async () => {
    await withDirectory(async (directory) => {
      const file = await writeJson(join(directory, 'trainer_state.json'), trainerState);
      expect(await readTrainingMetadata(directory)).to.deep.equal({
        training: { steps: 2193, learningRate: 4.380209758321933e-6, durationMs: 3_680_788 },
        sources: ['training.steps', 'training.learningRate', 'training.durationMs'].map((field) => ({
          field,
          file,
        })),
        warnings: [],
      });
    });
  });

  it('has no duration and no learning rate where the Trainer was stopped before it logged them', async () => {
    await withDirectory(async (directory) => {
      await writeJson(join(directory, 'trainer_state.json'), { global_step: 7, log_history: [{ step: 7 }] });
      expect((await readTrainingMetadata(directory)).training).to.deep.equal({ steps: 7 });
    });
  });

  it("holds policy family, learning rate and the steps done of LeRobot's checkpoint, planned steps not", async () => {
    await withDirectory(async (run) => {
      const directory = join(run, 'checkpoints', '005000', 'pretrained_model');
      const config = await writeJson(join(directory, 'train_config.json'), trainConfig);
      const step = await writeJson(join(directory, '../training_state/training_step.json'), trainingStep);
      await symlink('005000', join(run, 'checkpoints', 'last'));
      const expected = {
        training: { learningRate: 1e-3, steps: 5000 },
        compatibility: { policyFamily: 'smolvla' },
        warnings: [],
      };
      const { sources, ...facts } = await readTrainingMetadata(directory);
      expect(facts).to.deep.equal(expected);
      expect(sources).to.have.deep.members([
        { field: 'training.learningRate', file: config },
        { field: 'compatibility.policyFamily', file: config },
        { field: 'training.steps', file: step },
      ]);
      const last = await readTrainingMetadata(join(run, 'checkpoints', 'last', 'pretrained_model'));
      expect(last.training).to.deep.equal(expected.training);

      const elsewhere = join(run, 'checkpoints', '005000', 'adapter');
      await rename(directory, elsewhere);
      expect((await readTrainingMetadata(elsewhere)).training).to.deep.equal({ learningRate: 1e-3 });
    });
  });

  it("reads the step file of LeRobot's older releases, and a configuration without policy or optimizer", async () => {
    await withDirectory(async (run) => {
      const directory = join(run, 'pretrained_model');
      await writeJson(join(directory, 'train_config.json'), { policy: null, optimizer: null, steps: 3 });
      await writeJson(join(run, 'training_state/training_step.json'), { step: 20 });
      const { training, compatibility } = await readTrainingMetadata(directory);
      expect(training).to.deep.equal({ steps: 20 });
      expect(compatibility).to.equal(undefined);
    });
  });

  it('gives way to the file of the user, field by field', async () => {
    await withDirectory(async (directory) => {
      const state = await writeJson(join(directory, 'trainer_state.json'), trainerState);
      const file = await writeJson(join(directory, 'my.json'), { training: { steps: 1, samples: 8 } });
      const { training, sources } = await readTrainingMetadata(directory, file);
      expect(training).to.deep.equal({
        steps: 1,
        samples: 8,
        learningRate: 4.380209758321933e-6,
        durationMs: 3_680_788,
      });
      expect(sources).to.deep.include({ field: 'training.steps', file });
      expect(sources).to.deep.include({ field: 'training.durationMs', file: state });
      expect(sources).to.have.length(4);
    });
  });

  it('leaves out what two trainers say differently, with a warning', async () => {
    await withDirectory(async (directory) => {
      await writeJson(join(directory, 'trainer_state.json'), trainerState);
      await writeJson(join(directory, 'train_config.json'), trainConfig);
      const { training, compatibility, warnings } = await readTrainingMetadata(directory);
      expect(training).to.deep.equal({ steps: 2193, durationMs: 3_680_788 });
      expect(compatibility).to.deep.equal({ policyFamily: 'smolvla' });
      expect(warnings).to.have.length(1);
      expect(warnings[0]?.message).to.include('training.learningRate');
    });
  });

  it('is left out with a warning where the file is malformed, a link or too large, and the rest is kept', async () => {
    await withDirectory(async (directory) => {
      const config = await writeJson(join(directory, 'train_config.json'), trainConfig);
      const state = join(directory, 'trainer_state.json');
      const expectWarning = async (part: string) => {
        const { training, warnings } = await readTrainingMetadata(directory);
        expect(training).to.deep.equal({ learningRate: 1e-3 });
        expect(warnings.map(({ file }) => file)).to.deep.equal([state]);
        expect(warnings[0]?.message).to.include(part);
      };
      for (const [content, part] of [
        ['{"global_step": 1, "log_history": [{"grad_norm": NaN}]}', 'NaN'],
        [{ global_step: -1 }, 'global_step'],
        [{ global_step: 2 ** 41 }, 'global_step'],
        [{ global_step: 1, log_history: [{ learning_rate: 'fast' }] }, 'learning_rate'],
      ] as const) {
        await writeJson(state, content);
        await expectWarning(part);
      }
      await truncate(state, 32 * 1024 * 1024 + 1);
      await expectWarning('33554433 bytes');
      await rename(state, join(directory, 'elsewhere.json'));
      await writeJson(join(directory, 'elsewhere.json'), trainerState);
      await symlink('elsewhere.json', state);
      await expectWarning('link');
      await writeJson(config, '[]');
      expect((await readTrainingMetadata(directory)).warnings).to.have.length(2);
    });
  });

  it('is never read from a pickle', async () => {
    await withDirectory(async (directory) => {
      await writeFile(join(directory, 'training_args.bin'), Buffer.from([0x80, 0x04, 0x2e]));
      expect(await readTrainingMetadata(directory)).to.deep.equal({ sources: [], warnings: [] });
    });
  });

  it('is not looked for through a training_state that is a link', async () => {
    await withDirectory(async (run) => {
      await writeJson(join(run, 'other/training_step.json'), trainingStep);
      await mkdir(join(run, 'checkpoint/pretrained_model'), { recursive: true });
      await symlink('../other', join(run, 'checkpoint/training_state'));
      const facts = await readTrainingMetadata(join(run, 'checkpoint/pretrained_model'));
      expect(facts).to.deep.equal({ sources: [], warnings: [] });
    });
  });
});

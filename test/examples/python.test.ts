import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/native.js';
import { succeed } from '../cli/support/command.js';
import { adapterDirectory, clientDirectory, writeSmallAdapters } from '../cli/support/small-round.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

interface PythonEnded {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const example = join(packageRoot(), 'examples', 'python');
const program = join(packageRoot(), 'dist', 'bin', 'tensorguard-native.js');

/** The interpreter itself: what `python3` names may be a wrapper that needs a PATH. */
function pythonExecutable(context: Mocha.Context): string {
  const code = 'import sys; print(sys.executable if sys.version_info >= (3, 9) else "")';
  const { stdout } = spawnSync('python3', ['-c', code], { encoding: 'utf8' });
  const executable = (stdout ?? '').trim();
  if (executable !== '') return executable;
  const message = 'There is no python3 of version 3.9 or newer';
  if (process.env['CI'] === 'true') throw new Error(`${message}, and CI=true does not allow skipping.`);
  console.warn(`${message}: skipping the tests of the Python example.`);
  return context.skip();
}

describe('the Python example', () => {
  let directory: string;
  let executable: string;
  /** A PATH with the command. */
  let path: string;

  function python(args: readonly string[], environment: Record<string, string> = {}): Promise<PythonEnded> {
    return new Promise((resolve, reject) => {
      const child = spawn(executable, [...args], {
        cwd: directory,
        env: {
          ...process.env,
          PATH: path,
          PYTHONPATH: example,
          PYTHONDONTWRITEBYTECODE: '1',
          ...environment,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (piece: Buffer) => {
        stdout += piece.toString('utf8');
      });
      child.stderr.on('data', (piece: Buffer) => {
        stderr += piece.toString('utf8');
      });
      child.on('error', reject);
      child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
    });
  }

  function script(args: readonly string[], environment?: Record<string, string>): Promise<PythonEnded> {
    return python([join(example, 'seal_after_training.py'), ...args], environment);
  }

  function sealArguments(client: number, out: string): string[] {
    const start = ['--base', 'adapters/start'];
    const round = ['--plan', 'R.tgp', '--client', clientDirectory(client), '--out', out];
    return [adapterDirectory(client), ...round, ...start];
  }

  async function headerOf(update: string): Promise<Record<string, unknown>> {
    const { document } = await succeed(['inspect', update, '--roster', 'fleet/roster.tgo'], {
      cwd: directory,
    });
    expect(document['signaturesVerified']).to.equal(true);
    return document['body'] as Record<string, unknown>;
  }

  before(async function () {
    this.timeout(120_000);
    executable = pythonExecutable(this);
    directory = await temporaryDirectory();
    await writeSmallAdapters(directory);
    const at = { cwd: directory };
    await succeed(['fleet', 'init', 'fleet', '--clients', '5'], at);
    await succeed(
      [
        'plan',
        '--fleet',
        'fleet',
        '--like',
        'adapters/client-05',
        '--base',
        'adapters/start',
        '--out',
        'R.tgp',
      ],
      at,
    );
    const bin = join(directory, 'bin');
    await mkdir(bin);
    const command = join(bin, 'tensorguard-native');
    await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
    await chmod(command, 0o755);
    path = [bin, process.env['PATH'] ?? ''].join(delimiter);
  });

  it('of the documentation seals, and the header says what was known of the training', async () => {
    const page = await readFile(join(packageRoot(), 'docs', 'python.md'), 'utf8');
    const [, code] = /<!-- tested example -->\s+```python\n(.*?)```/s.exec(page) ?? [];
    expect(code, 'docs/python.md has a tested example').to.be.a('string');
    const ended = await python(['-c', code as string]);
    expect(ended.exitCode, ended.stderr).to.equal(0);
    const { size } = await stat(join(directory, 'client-01.tgu'));
    expect(ended.stdout).to.equal(`client-01.tgu: ${size} bytes\n`);
    const { client, training, timingsMs } = await headerOf('client-01.tgu');
    expect(client).to.equal('client-01');
    expect(training).to.deep.equal({
      steps: 2000,
      learningRate: 1e-4,
      samples: 16_000,
      objective: 'il',
      durationMs: 1_830_500,
    });
    expect(timingsMs).to.include({ train: 1_830_500 });
  });

  it('gives the same bytes on a second run, from a shell too', async () => {
    const metadata = ['--steps', '7', '--learning-rate', '0.002', '--samples', '33', '--objective', 'ppo'];
    const first = await script([...sealArguments(2, 'first.tgu'), ...metadata]);
    expect(first.exitCode, first.stderr).to.equal(0);
    expect(JSON.parse(first.stdout)).to.include({ written: 'first.tgu', replayed: false });
    const second = await script([...sealArguments(2, 'second.tgu'), ...metadata]);
    expect(second.exitCode, second.stderr).to.equal(0);
    expect(JSON.parse(second.stdout)).to.include({ written: 'second.tgu', replayed: true });
    const [a, b] = await Promise.all(
      ['first.tgu', 'second.tgu'].map((name) => readFile(join(directory, name))),
    );
    expect(a?.equals(b as Buffer)).to.equal(true);
    expect((await headerOf('second.tgu'))['training']).to.deep.equal({
      steps: 7,
      learningRate: 0.002,
      samples: 33,
      objective: 'ppo',
    });
  });

  it('raises what the command refuses, with its code and message, and writes nothing', async () => {
    const ended = await python([
      '-c',
      `
import json, os
from seal_after_training import TensorGuardError, seal
try:
    seal("adapters/client-04", "R.tgp", "fleet/clients/client-04", training={"training": {"epochs": 3}}, out="no.tgu")
except TensorGuardError as error:
    print(json.dumps([error.code, error.message, error.exit_code, os.path.exists("no.tgu")]))
`,
    ]);
    expect(ended.exitCode, ended.stderr).to.equal(0);
    const [code, message, exitCode, written] = JSON.parse(ended.stdout) as [string, string, number, boolean];
    expect(code).to.equal('training.malformed');
    expect(message).to.match(/epochs/);
    expect(exitCode).to.equal(1);
    expect(written).to.equal(false);
  });

  it('ends with the code of the command, and says it, when it is run from a shell', async () => {
    const missing = await script([
      'nowhere',
      '--plan',
      'R.tgp',
      '--client',
      clientDirectory(4),
      '--out',
      'no.tgu',
    ]);
    expect(missing.exitCode).to.equal(1);
    expect(missing.stderr).to.match(/^[a-z]+\.[a-z-]+: .*nowhere/m);
    expect(missing.stdout).to.equal('');
    const usage = await script(['nowhere']);
    expect(usage.exitCode).to.equal(2);
  });

  it('says so when the command is not on the PATH, and takes one that is named', async () => {
    const empty = join(directory, 'empty');
    await mkdir(empty);
    const bare = { PATH: empty };
    const missing = await script(sealArguments(3, 'three.tgu'), bare);
    expect(missing.exitCode, missing.stderr).to.equal(1);
    expect(missing.stderr).to.match(/^environment\.command-missing: /);
    const named = ['--command', `'${process.execPath}' '${program}'`];
    const ended = await script([...sealArguments(3, 'three.tgu'), ...named], bare);
    expect(ended.exitCode, ended.stderr).to.equal(0);
    expect((await headerOf('three.tgu'))['client']).to.equal('client-03');
  });

  it('seals at the end of a training of the Trainer, on the main process alone', async () => {
    // The interface of transformers' TrainerCallback, TrainingArguments and TrainerState that it relies on.
    const modules = join(directory, 'modules');
    await mkdir(modules);
    await writeFile(join(modules, 'transformers.py'), 'class TrainerCallback:\n    pass\n');
    const ended = await python(
      [
        '-c',
        `
import json, shutil
from types import SimpleNamespace
from seal_after_training import trainer_callback

class Model:
    def save_pretrained(self, directory):
        shutil.copytree("adapters/client-05", directory)

args = SimpleNamespace(output_dir="outputs")
log = [{"loss": 2.0, "learning_rate": 5e-5}, {"loss": 1.0, "learning_rate": 2e-5}, {"train_runtime": 3.0}]
def state(main):
    return SimpleNamespace(is_world_process_zero=main, global_step=120, log_history=log)
reports = []
for main in (False, True):
    callback = trainer_callback("R.tgp", "fleet/clients/client-05", base="adapters/start", samples=960, out="trainer.tgu")
    callback.on_train_begin(args, state(main), None, model=Model())
    callback.on_train_end(args, state(main), None, model=Model())
    reports.append(callback.report and callback.report["written"])
print(json.dumps(reports))
`,
      ],
      { PYTHONPATH: [example, modules].join(delimiter) },
    );
    expect(ended.exitCode, ended.stderr).to.equal(0);
    expect(JSON.parse(ended.stdout)).to.deep.equal([null, 'trainer.tgu']);
    const { training } = (await headerOf('trainer.tgu')) as { training: Record<string, number> };
    expect(training).to.include({ steps: 120, learningRate: 2e-5, samples: 960 });
    expect(training['durationMs']).to.be.within(0, 60_000);
  });

  it('seals a checkpoint of LeRobot with what was written around it', async () => {
    const ended = await python([
      '-c',
      `
import json, os, shutil
from seal_after_training import seal_lerobot_checkpoint
shutil.copytree("adapters/client-04", "checkpoints/000500/pretrained_model")
os.makedirs("checkpoints/000500/training_state")
with open("checkpoints/000500/training_state/training_step.json", "w") as file:
    json.dump({"step": 500}, file)
with open("checkpoints/000500/pretrained_model/train_config.json", "w") as file:
    json.dump({"policy": {"type": "smolvla"}, "optimizer": {"lr": 1e-4}}, file)
os.symlink("000500", "checkpoints/last")
seal_lerobot_checkpoint("checkpoints/last", "R.tgp", "fleet/clients/client-04", base="adapters/start", samples=4000,
                        out="lerobot.tgu")
`,
    ]);
    expect(ended.exitCode, ended.stderr).to.equal(0);
    const { training, compatibility } = await headerOf('lerobot.tgu');
    expect(training).to.deep.equal({ steps: 500, learningRate: 1e-4, samples: 4000, objective: 'il' });
    expect(compatibility).to.deep.equal({ policyFamily: 'smolvla' });
  });
});

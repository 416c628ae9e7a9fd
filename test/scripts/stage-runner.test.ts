import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';

interface Runner {
  readonly failed: string[];
  run(stages: readonly string[], lanes: number): Promise<boolean>;
  stop(): void;
}

interface Options {
  scriptOf(stage: string): string;
  logOf(stage: string): string;
  onEnd(stage: string): void;
}

const { StageRunner }: { StageRunner: new (options: Options) => Runner } = await import(
  new URL('../../../scripts/ci/stage-runner.mjs', import.meta.url).href
);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

describe('stages that run side by side', () => {
  let folder: string;
  let ended: string[];
  let runner: Runner;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stages-'));
    ended = [];
    runner = new StageRunner({
      scriptOf: (stage) => join(folder, `${stage}.sh`),
      logOf: (stage) => join(folder, `${stage}.log`),
      onEnd: (stage) => ended.push(stage),
    });
  });

  afterEach(() => {
    runner.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function stage(name: string, script: string): string {
    writeFileSync(join(folder, `${name}.sh`), `set -e\ncd ${folder}\n${script}\n`);
    return name;
  }

  const log = (name: string): string => readFileSync(join(folder, `${name}.log`), 'utf8');

  it('all run, and each one has its output to itself, errors included', async () => {
    const stages = ['a', 'b', 'c'].map((name) => stage(name, `echo out ${name}; echo err ${name} >&2`));
    expect(await runner.run(stages, 2)).to.equal(true);
    expect(ended).to.have.members(stages);
    for (const name of stages) expect(log(name)).to.equal(`out ${name}\nerr ${name}\n`);
    expect(runner.failed).to.deep.equal([]);
  });

  it('are so many at a time as there are lanes', async () => {
    // Each waits for the other: alone, neither would end.
    stage('a', 'touch a; until [ -e b ]; do sleep 0.01; done');
    stage('b', 'touch b; until [ -e a ]; do sleep 0.01; done');
    expect(await runner.run(['a', 'b'], 2)).to.equal(true);
    const single = ['c', 'd'].map((name) => stage(name, '[ ! -e busy ]; touch busy; sleep 0.05; rm busy'));
    expect(await runner.run(single, 1)).to.equal(true);
  });

  it('end with the first that fails, and so does what they started', async () => {
    stage('long', 'sleep 600 & echo $! >child; wait');
    stage('bad', 'until [ -s child ]; do sleep 0.01; done; echo why; exit 3');
    stage('never', 'touch ran');
    expect(await runner.run(['long', 'bad', 'never'], 2)).to.equal(false);
    expect(runner.failed).to.deep.equal(['bad']);
    expect(ended).to.deep.equal(['bad']);
    expect(log('bad')).to.equal('why\n');
    await until(() => !isAlive(Number(readFileSync(join(folder, 'child'), 'utf8'))));
    expect(existsSync(join(folder, 'ran'))).to.equal(false);
  });

  it('leave nothing running behind them', async () => {
    stage('careless', 'sleep 600 & echo $! >child');
    expect(await runner.run(['careless'], 1)).to.equal(true);
    await until(() => !isAlive(Number(readFileSync(join(folder, 'child'), 'utf8'))));
  });

  it('end when they are told to, without any having failed', async () => {
    stage('long', 'touch started; sleep 600');
    const running = runner.run(['long'], 1);
    await until(() => existsSync(join(folder, 'started')));
    runner.stop();
    expect(await running).to.equal(false);
    expect(runner.failed).to.deep.equal([]);
    expect(ended).to.deep.equal([]);
  });

  it('fail where a script is missing', async () => {
    expect(await runner.run(['absent'], 1)).to.equal(false);
    expect(runner.failed).to.deep.equal(['absent']);
  });
});

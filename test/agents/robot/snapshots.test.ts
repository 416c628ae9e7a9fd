import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readTrainingMetadata } from '../../../lib/adapter/training-metadata.js';
import { AgentDirectory } from '../../../lib/agents/agent-directory.js';
import { type SnapshotRequest, Snapshots } from '../../../lib/agents/robot/snapshots.js';
import { writeAdapter } from '../../round/support/adapters.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

describe("a robot's snapshots", () => {
  let role: string;
  let trainer: string;

  beforeEach(async () => {
    role = await temporaryDirectory();
    trainer = join(await temporaryDirectory(), 'adapter');
  });

  function withSnapshots<T>(body: (snapshots: Snapshots) => Promise<T>): Promise<T> {
    return AgentDirectory.use(role, async (directory) => body(await Snapshots.open(directory)));
  }

  function request(changes: Partial<SnapshotRequest> = {}): SnapshotRequest {
    return {
      from: trainer,
      base: undefined,
      training: {},
      takenMs: 1,
      isStill: async () => true,
      ...changes,
    };
  }

  it('outlive what the trainer does next, and a restart', async () => {
    await writeAdapter(trainer, 'first');
    const before = await readFile(join(trainer, 'adapter_model.safetensors'));
    const taken = await withSnapshots((snapshots) => snapshots.take(request()));
    await writeAdapter(trainer, 'second');
    const [kept, ...others] = await withSnapshots((snapshots) => snapshots.list());
    expect(others).to.deep.equal([]);
    expect(kept).to.deep.equal(taken);
    const path = join(kept?.adapter ?? '', 'adapter_model.safetensors');
    expect((await readFile(path)).equals(before)).to.equal(true);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
  });

  it('are listed with the newest first', async () => {
    await withSnapshots(async (snapshots) => {
      for (const seed of ['first', 'second', 'third']) {
        await writeAdapter(trainer, seed);
        await snapshots.take(request());
      }
      expect((await snapshots.list()).map(({ sequence }) => sequence)).to.deep.equal([3, 2, 1]);
    });
  });

  it('are not taken twice of one adapter, even when the first has gone', async () => {
    await writeAdapter(trainer, 'first');
    const taken = await withSnapshots((snapshots) => snapshots.take(request()));
    expect(await withSnapshots((snapshots) => snapshots.take(request()))).to.equal(undefined);
    await withSnapshots((snapshots) => snapshots.remove(taken?.name ?? ''));
    expect(await withSnapshots((snapshots) => snapshots.take(request()))).to.equal(undefined);
    await writeAdapter(trainer, 'second');
    expect((await withSnapshots((snapshots) => snapshots.take(request())))?.sequence).to.equal(2);
  });

  it('are not taken twice either where a crash fell before the record of the last', async () => {
    await writeAdapter(trainer, 'first');
    await withSnapshots((snapshots) => snapshots.take(request()));
    await rm(join(role, 'agent', 'last-snapshot.json'));
    expect(await withSnapshots((snapshots) => snapshots.take(request()))).to.equal(undefined);
  });

  it('are not taken of an adapter that changes while it is copied', async () => {
    await writeAdapter(trainer, 'first');
    await withSnapshots(async (snapshots) => {
      expect(await snapshots.take(request({ isStill: async () => false }))).to.equal(undefined);
      expect(await snapshots.list()).to.deep.equal([]);
    });
    expect(await readdir(join(role, 'agent', 'snapshots'))).to.deep.equal([]);
  });

  it('leave nothing behind where copying fails, and a crash in it is forgotten', async () => {
    await withSnapshots(async (snapshots) => {
      let failed = false;
      await snapshots.take(request()).catch(() => {
        failed = true;
      });
      expect(failed).to.equal(true);
    });
    expect(await readdir(join(role, 'agent', 'snapshots'))).to.deep.equal([]);
  });

  it('keep the base that training started from, whatever is released meanwhile', async () => {
    const release = join(await temporaryDirectory(), 'release');
    await writeAdapter(release, 'release 1');
    await writeAdapter(trainer, 'first');
    const first = await readFile(join(release, 'adapter_model.safetensors'));
    await withSnapshots(async (snapshots) => {
      await snapshots.take(request({ base: await snapshots.keepBase(release) }));
      for (let i = 2; i < 20; i += 1) {
        await writeAdapter(release, `release ${i}`);
        await snapshots.keepBase(release);
      }
    });
    const [snapshot] = await withSnapshots((snapshots) => snapshots.list());
    const base = await readFile(join(snapshot?.base ?? '', 'adapter_model.safetensors'));
    expect(base.equals(first)).to.equal(true);
    expect((await readdir(join(role, 'agent', 'bases'))).length).to.equal(9);
  });

  it('refuse a base that the robot never had', async () => {
    await writeAdapter(trainer, 'first');
    await withSnapshots((snapshots) =>
      expectRefusal('robot.unknown-base', () => snapshots.take(request({ base: 'ab'.repeat(32) }))),
    );
  });

  it('go where their base has gone: against another one it would be another delta', async () => {
    await writeAdapter(trainer, 'first');
    await withSnapshots(async (snapshots) => {
      const base = await snapshots.keepBase(trainer);
      await writeAdapter(trainer, 'second');
      await snapshots.take(request({ base }));
    });
    await rm(join(role, 'agent', 'bases'), { recursive: true });
    expect(await withSnapshots((snapshots) => snapshots.list())).to.deep.equal([]);
  });

  it('carry what was known of the training, hashes included', async () => {
    await writeAdapter(trainer, 'first');
    const datasetHash = new Uint8Array(32).fill(7);
    const training = { training: { samples: 100, datasetHash }, experts: { action: 0.5 } };
    const snapshot = await withSnapshots((snapshots) => snapshots.take(request({ training })));
    const read = await readTrainingMetadata(snapshot?.adapter ?? '', snapshot?.training);
    expect(read.training).to.deep.equal(training.training);
    expect(read.experts).to.deep.equal(training.experts);
  });
});

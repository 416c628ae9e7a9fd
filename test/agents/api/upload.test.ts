import { expect } from 'chai';
import type { UploadProgress, UploadState } from '../../../lib/agents/api/fleet-api.js';
import { type UploadApi, uploadUpdate } from '../../../lib/agents/api/upload.js';
import { ApiRefusedError } from '../../../lib/agents/http/api-errors.js';
import { EnvironmentError } from '../../../lib/errors.js';
import { sha256 } from '../../../lib/package/digests.js';
import { openContainer } from '../../../lib/package/reader.js';
import { TestRound } from '../../round/support/round.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const PLAN = 'aa'.repeat(32);
const UPDATE = 'bb'.repeat(32);

/** A service that keeps what arrives, and may lose the connection at any call. */
class FakeUploads implements UploadApi {
  readonly calls: string[] = [];
  readonly chunks = new Map<number, Uint8Array>();
  envelope: Uint8Array | undefined;
  state: UploadState = 'incomplete';

  constructor(
    private readonly expectedChunks: number,
    /** Numbers of the calls, from 1, whose connection breaks. */
    readonly broken: Set<number> = new Set(),
    /** What a whole file that breaks off leaves behind. */
    private readonly leaves: 'nothing' | 'envelope' = 'nothing',
  ) {}

  async uploadProgress(): Promise<UploadProgress | undefined> {
    this.#call('progress');
    return this.envelope === undefined ? undefined : this.#progress();
  }

  async putUpdate(): Promise<UploadProgress> {
    try {
      this.#call('whole');
    } catch (error) {
      if (this.leaves === 'envelope') this.envelope = new Uint8Array();
      throw error;
    }
    this.state = 'received';
    return this.#progress();
  }

  async putEnvelope(_plan: string, _update: string, envelope: Uint8Array): Promise<UploadProgress> {
    this.#call('envelope');
    this.envelope = envelope;
    return this.#progress();
  }

  async putChunk(_plan: string, _update: string, chunk: number, bytes: Uint8Array): Promise<void> {
    this.#call(`chunk ${chunk}`);
    this.chunks.set(chunk, bytes);
  }

  async completeUpload(): Promise<UploadProgress> {
    this.#call('complete');
    expect(this.#progress().missing).to.deep.equal([]);
    this.state = 'received';
    return this.#progress();
  }

  #call(name: string): void {
    this.calls.push(name);
    if (this.broken.has(this.calls.length)) throw new EnvironmentError('http.unreachable', 'cut');
  }

  #progress(): UploadProgress {
    if (this.state !== 'incomplete') return { state: this.state, missing: [] };
    const missing = Array.from({ length: this.expectedChunks }, (_, i) => i).filter(
      (i) => !this.chunks.has(i),
    );
    return { state: missing.length > 0 ? 'incomplete' : 'complete', missing };
  }
}

describe('sending an update', () => {
  let path: string;
  let digests: string[];

  before(async () => {
    const round = await TestRound.start(await temporaryDirectory());
    path = (await round.seal(1)).stored;
    round.end();
    const container = await openContainer(path, 'update');
    digests = container.header.sections.flatMap((section) =>
      section.digests.map((digest) => Buffer.from(digest).toString('hex')),
    );
    await container.close();
  });

  it('sends it as a whole where it can', async () => {
    const api = new FakeUploads(digests.length);
    expect(await uploadUpdate(api, PLAN, UPDATE, path)).to.include({ state: 'received' });
    expect(api.calls).to.deep.equal(['progress', 'whole']);
  });

  it('sends it in chunks after a cut, each of which is what the header names', async () => {
    const api = new FakeUploads(digests.length, new Set([2]));
    expect(await uploadUpdate(api, PLAN, UPDATE, path)).to.include({ state: 'received' });
    expect(api.calls.slice(0, 4)).to.deep.equal(['progress', 'whole', 'progress', 'envelope']);
    expect(api.calls.at(-1)).to.equal('complete');
    const sent = [...api.chunks.entries()].sort(([a], [b]) => a - b);
    expect(sent.map(([, bytes]) => Buffer.from(sha256(bytes)).toString('hex'))).to.deep.equal(digests);
  });

  it('sends only what is missing, whenever it was cut', async () => {
    const complete = 2 + 1 + 1 + digests.length + 1;
    for (let cut = 3; cut <= complete; cut += 1) {
      const api = new FakeUploads(digests.length, new Set([2, cut]), 'envelope');
      await uploadUpdate(api, PLAN, UPDATE, path).catch((error: Error) => {
        expect(error).to.be.instanceOf(EnvironmentError);
      });
      api.broken.clear();
      const arrived = new Set(api.chunks.keys());
      const before = api.calls.length;
      expect((await uploadUpdate(api, PLAN, UPDATE, path)).state).to.equal('received');
      const again = api.calls.slice(before).filter((call) => call.startsWith('chunk'));
      expect(again.filter((call) => arrived.has(Number(call.slice('chunk '.length))))).to.deep.equal([]);
    }
  });

  it('leaves an update alone that is in the round already', async () => {
    for (const state of ['received', 'accepted', 'replaced'] as const) {
      const api = new FakeUploads(digests.length);
      api.envelope = new Uint8Array();
      api.state = state;
      expect((await uploadUpdate(api, PLAN, UPDATE, path)).state).to.equal(state);
      expect(api.calls).to.deep.equal(['progress']);
    }
  });

  it('does not send again in pieces what is refused as a whole', async () => {
    const api = new FakeUploads(digests.length);
    api.putUpdate = async () => {
      throw new ApiRefusedError('round.late', 'too late', 409);
    };
    await expectRefusal('round.late', () => uploadUpdate(api, PLAN, UPDATE, path));
    expect(api.calls).to.deep.equal(['progress']);
  });
});

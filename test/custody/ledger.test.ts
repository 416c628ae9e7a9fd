import { createHash } from 'node:crypto';
import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hex } from '../../lib/custody/fields.js';
import { type AnswerRequest, createLedger, type Ledger, openLedger } from '../../lib/custody/ledger.js';
import { RefusedError } from '../../lib/errors.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

function request(change: Partial<AnswerRequest> = {}): AnswerRequest {
  return {
    fleet: 'fleet',
    policy: 'policy',
    cohort: 'all',
    round: 7,
    plan: bytes32('plan'),
    set: bytes32('set'),
    updates: [bytes32('update 1'), bytes32('update 2'), bytes32('update 3')],
    ...change,
  };
}

const otherUpdates = { set: bytes32('other set'), updates: [bytes32('update 4'), bytes32('update 5')] };

function answering(text: string) {
  const heads: string[] = [];
  const makeAnswer = async (head: Uint8Array) => {
    heads.push(hex(head));
    return Uint8Array.from(Buffer.from(text));
  };
  return { heads, makeAnswer };
}

const never = async (): Promise<Uint8Array> => {
  throw new Error('an answer was computed that must not be');
};

describe('the custodian ledger', () => {
  let path: string;
  let ledger: Ledger;

  beforeEach(async () => {
    path = join(await temporaryDirectory(), 'ledger.sqlite');
    ledger = await createLedger(path);
  });
  afterEach(() => ledger.close());

  async function reopen(): Promise<void> {
    ledger.close();
    ledger = await openLedger(path);
  }

  it('answers a set once and replays the stored bytes ever after', async () => {
    const first = await ledger.answerOnce(request(), answering('first').makeAnswer);
    expect([Buffer.from(first.answer).toString(), first.replayed]).to.deep.equal(['first', false]);
    await reopen();
    const second = await ledger.answerOnce(request(), never);
    expect([Buffer.from(second.answer).toString(), second.replayed]).to.deep.equal(['first', true]);
  });

  it('is never made up: a lost one would be forgotten answers', async () => {
    const error = await expectRefusal('storage.missing', () => openLedger(`${path}.lost`));
    expect(error.message).to.contain('new keys');
    await expectRefusal('storage.exists', () => createLedger(path));
  });

  it('takes the same updates in another order for the same set', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    const turned = request({ updates: [...request().updates].reverse() });
    expect((await ledger.answerOnce(turned, never)).replayed).to.equal(true);
  });

  it('says beforehand what it would refuse, and changes nothing by it', async () => {
    const before = ledger.head();
    ledger.requireAnswerable(request());
    expect(ledger.head()).to.deep.equal(before);
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    ledger.requireAnswerable(request());
    for (const [change, code] of [
      [otherUpdates, 'ledger.round-already-answered'],
      [{ plan: bytes32('other plan') }, 'ledger.round-has-another-plan'],
      [
        { round: 8, set: bytes32('set 8'), updates: [bytes32('update 9'), bytes32('update 2')] },
        'ledger.update-already-used',
      ],
      [{ round: 8, updates: [] }, 'ledger.bad-request'],
    ] as const) {
      await expectRefusal(code, () => ledger.requireAnswerable(request(change)));
      await expectRefusal(code, () => ledger.answerOnce(request(change), never));
    }
    ledger.requireAnswerable(request({ round: 8, set: bytes32('set 8'), updates: [bytes32('update 9')] }));
  });

  it('refuses a second set for a round for ever, naming the round and the way on', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    await reopen();
    const error = await expectRefusal('ledger.round-already-answered', () =>
      ledger.answerOnce(request(otherUpdates), never),
    );
    expect(error).to.be.instanceOf(RefusedError);
    expect(error.message).to.contain('round 7').and.to.contain('start the next round');
  });

  it('refuses a set that lacks one update: the difference would be that update', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    const smaller = request({ set: bytes32('smaller'), updates: request().updates.slice(1) });
    await expectRefusal('ledger.round-already-answered', () => ledger.answerOnce(smaller, never));
  });

  it('refuses other updates under the same set fingerprint', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    for (const updates of [request().updates.slice(1), [...request().updates, bytes32('update 4')]]) {
      await expectRefusal('ledger.round-already-answered', () =>
        ledger.answerOnce(request({ updates }), never),
      );
    }
  });

  it('refuses a second plan for a round', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    for (const change of [{}, otherUpdates]) {
      const error = await expectRefusal('ledger.round-has-another-plan', () =>
        ledger.answerOnce(request({ plan: bytes32('another plan'), ...change }), never),
      );
      expect(error.message).to.contain('round 7').and.to.contain('Start the next round');
    }
  });

  it('refuses an update that is in the set of another round, naming both', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    const reuse = request({
      round: 8,
      set: bytes32('other'),
      updates: [bytes32('update 9'), bytes32('update 2')],
    });
    const error = await expectRefusal('ledger.update-already-used', () => ledger.answerOnce(reuse, never));
    expect(error.message)
      .to.contain('round 7')
      .and.to.contain('round 8')
      .and.to.contain(hex(bytes32('update 2')));
  });

  it('forgets a refused request whole: its round and its other updates stay free', async () => {
    await ledger.answerOnce(request(), answering('first').makeAnswer);
    const head = ledger.head();
    const reuse = request({ round: 8, set: bytes32('other'), updates: [bytes32('a'), bytes32('update 2')] });
    await expectRefusal('ledger.update-already-used', () => ledger.answerOnce(reuse, never));
    expect(hex(ledger.head())).to.equal(hex(head));
    const clean = request({ round: 8, set: bytes32('clean'), updates: [bytes32('a'), bytes32('b')] });
    expect((await ledger.answerOnce(clean, answering('second').makeAnswer)).replayed).to.equal(false);
  });

  for (const [field, value] of [
    ['fleet', 'fleet 2'],
    ['policy', 'policy 2'],
    ['cohort', 'cohort 2'],
    ['round', 8],
  ] as const) {
    it(`takes another ${field} for another round`, async () => {
      await ledger.answerOnce(request(), answering('first').makeAnswer);
      const other = request({ [field]: value, ...otherUpdates });
      expect((await ledger.answerOnce(other, answering('second').makeAnswer)).replayed).to.equal(false);
    });
  }

  it('holds the claim when computing the answer fails, and lets the same set try again', async () => {
    const failing = async (): Promise<Uint8Array> => {
      throw new Error('the key wrapper is away');
    };
    let failure: unknown;
    await ledger.answerOnce(request(), failing).catch((error: unknown) => {
      failure = error;
    });
    expect(String(failure)).to.contain('the key wrapper is away');
    await reopen();
    await expectRefusal('ledger.round-already-answered', () =>
      ledger.answerOnce(request(otherUpdates), never),
    );
    const again = await ledger.answerOnce(request(), answering('second').makeAnswer);
    expect([Buffer.from(again.answer).toString(), again.replayed]).to.deep.equal(['second', false]);
  });

  it('has the claim on record before the answer is computed', async () => {
    const other = await openLedger(path);
    await ledger.answerOnce(request(), async () => {
      await expectRefusal('ledger.round-already-answered', () =>
        other.answerOnce(request(otherUpdates), never),
      );
      return Uint8Array.of(1);
    });
    other.close();
  });

  it('releases one answer when two are computed at once', async () => {
    const results = await Promise.all([
      ledger.answerOnce(request(), answering('first').makeAnswer),
      ledger.answerOnce(request(), answering('second').makeAnswer),
    ]);
    expect(hex(results[0].answer)).to.equal(hex(results[1].answer));
    expect(results.filter((result) => result.replayed)).to.have.length(1);
    expect(hex((await ledger.answerOnce(request(), never)).answer)).to.equal(hex(results[0].answer));
  });

  it('gives every computation of a round the head of its claim', async () => {
    const first = answering('first');
    const other = answering('other');
    await ledger
      .answerOnce(request(), async (head) => {
        await first.makeAnswer(head);
        throw new Error('stop');
      })
      .catch(() => undefined);
    await ledger.answerOnce(request({ round: 8, ...otherUpdates }), other.makeAnswer);
    await ledger.answerOnce(request(), first.makeAnswer);
    expect(first.heads).to.have.length(2);
    expect(first.heads[0]).to.equal(first.heads[1]);
    expect(other.heads[0]).to.not.equal(first.heads[0]);
  });

  it('knows every head that it ever had, and no other', async () => {
    const heads = [ledger.head()];
    const answers = answering('answer');
    await ledger.answerOnce(request(), answers.makeAnswer);
    heads.push(ledger.head());
    await ledger.answerOnce(request({ round: 8, ...otherUpdates }), answers.makeAnswer);
    heads.push(ledger.head());
    expect(new Set(heads.map(hex)).size).to.equal(3);
    await reopen();
    expect(hex(ledger.head())).to.equal(hex(heads[2] as Uint8Array));
    for (const head of [...heads, ...answers.heads.map((text) => Buffer.from(text, 'hex'))]) {
      expect(ledger.hasHead(head)).to.equal(true);
    }
    expect(ledger.hasHead(bytes32('nobody'))).to.equal(false);
  });

  it('does not have the head of what was answered after a backup, once that is restored', async () => {
    const answers = answering('answer');
    await ledger.answerOnce(request(), answers.makeAnswer);
    ledger.close();
    const backup = join(await temporaryDirectory(), 'ledger.sqlite');
    await copyFile(path, backup);
    await chmod(backup, 0o600);
    ledger = await openLedger(path);
    await ledger.answerOnce(request({ round: 8, ...otherUpdates }), answers.makeAnswer);
    const restored = await openLedger(backup);
    expect(answers.heads.map((head) => restored.hasHead(Buffer.from(head, 'hex')))).to.deep.equal([
      true,
      false,
    ]);
    restored.close();
  });

  it('chains heads as documented, so that another program can check the file', async () => {
    const integer = (value: number) => {
      const content = Buffer.alloc(8);
      content.writeBigUInt64LE(BigInt(value));
      return content;
    };
    const fields = (...values: (string | Uint8Array)[]) =>
      Buffer.concat(
        values.flatMap((value) => {
          const content = typeof value === 'string' ? Buffer.from(value) : value;
          const length = Buffer.alloc(4);
          length.writeUInt32LE(content.length);
          return [length, content];
        }),
      );
    const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
    const updates = [...request().updates].sort(Buffer.compare);
    const genesis = sha256(fields('tensorguard-native v1 ledger'));
    expect(hex(ledger.head())).to.equal(hex(genesis));
    const claim = sha256(
      genesis,
      fields(
        ...['tensorguard-native v1 ledger claim', integer(1), 'fleet', 'policy', 'all', integer(7)],
        ...[bytes32('plan'), bytes32('set'), ...updates],
      ),
    );
    const answers = answering('first');
    await ledger.answerOnce(request(), answers.makeAnswer);
    expect(answers.heads).to.deep.equal([hex(claim)]);
    const digest = sha256(Buffer.from('first'));
    const answer = sha256(
      claim,
      fields('tensorguard-native v1 ledger answer', integer(2), integer(1), digest),
    );
    expect(hex(ledger.head())).to.equal(hex(answer));
  });

  for (const [what, change, code] of [
    ['no update', { updates: [] }, 'ledger.bad-request'],
    ['an update twice', { updates: [bytes32('a'), bytes32('b'), bytes32('a')] }, 'ledger.bad-request'],
    ['a short update fingerprint', { updates: [new Uint8Array(31)] }, 'field.bad-bytes'],
    ['a short plan fingerprint', { plan: new Uint8Array(31) }, 'field.bad-bytes'],
    ['a long set fingerprint', { set: new Uint8Array(33) }, 'field.bad-bytes'],
    ['an empty cohort', { cohort: '' }, 'field.bad-text'],
    ['a fraction of a round', { round: 0.5 }, 'field.bad-integer'],
  ] as const) {
    it(`refuses a request with ${what}, and claims nothing`, async () => {
      const head = hex(ledger.head());
      await expectRefusal(code, () => ledger.answerOnce(request(change), never));
      expect(hex(ledger.head())).to.equal(head);
    });
  }
});

import { expect } from 'chai';
import fc from 'fast-check';
import { EventStreamParser, type ServerEvent } from '../../../lib/dashboard/model/event-stream.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the reading of server-sent events', () => {
  it('gives events with their types, data of several lines, and the last id', () => {
    const parser = new EventStreamParser();
    const events = parser.push(
      bytes(
        ': a comment\nretry: 3000\n\nid: 7\nevent: round\ndata: one\ndata: two\n\ndata:bare\n\nevent: empty\n\n',
      ),
    );
    expect(events).to.deep.equal([
      { type: 'round', data: 'one\ntwo' },
      { type: 'message', data: 'bare' },
    ]);
    expect(parser.lastEventId).to.equal('7');
  });

  it('keeps the id that it began with until the server sends another', () => {
    const parser = new EventStreamParser('41');
    parser.push(bytes('data: x\n\n'));
    expect(parser.lastEventId).to.equal('41');
    parser.push(bytes('id: 42\n'));
    expect(parser.lastEventId).to.equal('42');
  });

  it('gives the same events however the stream is cut, and whichever way lines end', () => {
    const line = fc.stringMatching(/^[a-zé✓ :{}"]{0,12}$/);
    const event = fc.record({
      type: fc.constantFrom('round', 'record'),
      lines: fc.array(line, { minLength: 1 }),
    });
    fc.assert(
      fc.property(
        fc.array(event),
        fc.constantFrom('\n', '\r', '\r\n'),
        fc.array(fc.nat(500)),
        (sent, end, cuts) => {
          const text = sent
            .map(({ type, lines }) =>
              [`event: ${type}`, ...lines.map((each) => `data: ${each}`), '', ''].join(end),
            )
            .join('');
          const whole = bytes(text);
          const parser = new EventStreamParser();
          const found: ServerEvent[] = [];
          let from = 0;
          for (const cut of [...cuts.sort((a, b) => a - b), whole.length]) {
            const to = Math.min(Math.max(cut, from), whole.length);
            found.push(...parser.push(whole.subarray(from, to)));
            from = to;
          }
          // A CR at the very end may be half of a line's end: whatever comes next tells.
          found.push(...parser.push(bytes(':\n')));
          expect(found).to.deep.equal(sent.map(({ type, lines }) => ({ type, data: lines.join('\n') })));
        },
      ),
    );
  });

  it('gives up on an event that does not end', () => {
    const parser = new EventStreamParser();
    const piece = bytes(`data: ${'x'.repeat(1 << 20)}\n`);
    expect(() => {
      for (let i = 0; i < 8; i += 1) parser.push(piece);
    }).to.throw(RangeError);
  });
});

import { expect } from 'chai';
import { errorFields, lineLog } from '../../lib/agents/agent-log.js';
import { RefusedError } from '../../lib/errors.js';

describe("an agent's log", () => {
  const lines = (
    format: 'json' | 'text',
  ): { readonly written: string[]; log: ReturnType<typeof lineLog> } => {
    const written: string[] = [];
    return {
      written,
      log: lineLog(
        format,
        (line) => written.push(line),
        () => 0,
      ),
    };
  };

  it('writes one JSON document a line', () => {
    const { written, log } = lines('json');
    log.write('info', 'robot.sealed', { plan: 'ab', round: 3, code: undefined });
    expect(written.map((line) => JSON.parse(line))).to.deep.equal([
      { time: '1970-01-01T00:00:00.000Z', level: 'info', event: 'robot.sealed', plan: 'ab', round: 3 },
    ]);
  });

  it('writes one line for people, whatever the service or a trainer had to say', () => {
    const { written, log } = lines('text');
    log.write('warn', 'robot.not-sent', { message: 'a\n2026 info robot.sealed \u001b[2J', round: 3 });
    expect(written).to.deep.equal([
      '1970-01-01T00:00:00.000Z warn robot.not-sent message="a\\n2026 info robot.sealed \\u001b[2J" round=3',
    ]);
  });

  it('has no token and no field that is named for a secret in it, whoever writes one', () => {
    const secret = 'A'.repeat(43);
    const token = `tgt_0123456789abcdef_${secret}`;
    for (const format of ['json', 'text'] as const) {
      const { written, log } = lines(format);
      log.write('warn', 'robot.not-sent', {
        message: `refused ${token}`,
        token,
        Passphrase: 'hunter2',
        pin: 1234,
      });
      log.write('warn', 'robot.not-sent', { message: `headers: {"authorization": "Bearer ${secret}"}` });
      const text = written.join('\n');
      expect(text).not.to.include(secret).and.not.to.include('hunter2').and.not.to.include('1234,');
      expect(text).to.include('tgt_0123456789abcdef_[redacted]');
      expect(text.match(/\[redacted\]/g)).to.have.length(5);
    }
  });

  it('knows errors by their codes', () => {
    expect(errorFields(new RefusedError('seal.too-stale', 'late'))).to.deep.equal({
      code: 'seal.too-stale',
      message: 'late',
    });
    expect(errorFields(Object.assign(new Error('full'), { code: 'ENOSPC' })).code).to.equal('system.enospc');
    expect(errorFields(new TypeError('a mistake')).code).to.equal('internal.unexpected');
  });
});

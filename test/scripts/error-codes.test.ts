import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { ClientStatus } from '../../lib/package/messages/roster.js';

interface Raised {
  /** Code to its places, "file:line". */
  codes: Map<string, string[]>;
  unresolved: { file: string; text: string }[];
}

interface Documented {
  area: string;
  code: string;
  means: string;
  action: string;
}

const checkout = new URL('../../../', import.meta.url);
const scripts = new URL('scripts/error-codes/', checkout);
const { raisedCodes }: { raisedCodes: (root: string, folders: string[]) => Raised } = await import(
  new URL('raised.mjs', scripts).href
);
const { documentedCodes }: { documentedCodes: (markdown: string) => Documented[] } = await import(
  new URL('documented.mjs', scripts).href
);

// A record, so that a new status does not compile until it is listed.
const refusedStatuses: Record<Exclude<ClientStatus, 'active'>, string> = {
  suspended: 'roster.client-suspended',
  revoked: 'roster.client-revoked',
};

/** Codes that no literal gives, by file and expression. */
const fromElsewhere = new Map<string, readonly string[]>([
  // An error's own code, passed on: it is raised, and found, where that error is made.
  ['lib/cli/program.ts: error.code', []],
  ['lib/cli/release-files.ts: error.code', []],
  ['lib/custody/answers.ts: error.code', []],
  ['lib/agents/http/api-errors.ts: problem.data.code', []],
  // The operating system's codes, which the document describes by their form.
  [`lib/cli/program.ts: \`system.\${system.code.toLowerCase()}\``, []],
  [
    'lib/custody/wrappers/command-wrapper.ts: code',
    ['wrapper.command-failed', 'wrapper.command-output', 'wrapper.command-timeout'],
  ],
  [`lib/server/auth/key-directory.ts: \`roster.client-\${key.standing}\``, Object.values(refusedStatuses)],
  [`lib/custody/roster.ts: \`roster.client-\${client.status}\``, Object.values(refusedStatuses)],
]);

/** Codes that the service answers with where no error of the hierarchy was thrown: by the framework, or hidden. */
const answeredCodes: readonly string[] = [
  'request.bad-length',
  'request.headers-too-large',
  'request.invalid',
  'request.malformed',
  'request.timeout',
  'server.internal',
  'server.unavailable',
];

describe('the documented error codes', () => {
  const documented = documentedCodes(readFileSync(new URL('docs/operations.md', checkout), 'utf8'));
  let raised: Raised;

  before(function () {
    this.timeout(60_000);
    raised = raisedCodes(fileURLToPath(checkout), ['lib', 'bin']);
  });

  function allRaised(): Map<string, string[]> {
    const listed = [...fromElsewhere].flatMap(([place, codes]) =>
      codes.map((code): [string, string[]] => [code, [place]]),
    );
    const answered = answeredCodes.map((code): [string, string[]] => [code, ['lib/server/problems']]);
    return new Map([...raised.codes, ...listed, ...answered]);
  }

  it('has no code that comes from neither a literal nor the list above', () => {
    const places = raised.unresolved.map(({ file, text }) => `${file}: ${text}`);
    expect(places).to.have.members([...fromElsewhere.keys()]);
  });

  it('describes every code that is raised', () => {
    const known = new Set(documented.map(({ code }) => code));
    const missing = [...allRaised()].filter(([code]) => !known.has(code));
    expect(missing.map(([code, places]) => `${code} (${places.join(', ')})`)).to.deep.equal([]);
  });

  it('describes no code that nothing raises', () => {
    const codes = allRaised();
    expect(documented.map(({ code }) => code).filter((code) => !codes.has(code))).to.deep.equal([]);
  });

  it('describes each code once, under its area, with a meaning and something to do', () => {
    const codes = documented.map(({ code }) => code);
    expect(codes).to.have.lengthOf(new Set(codes).size);
    for (const { area, code, means, action } of documented) {
      expect(code.split('.')[0], code).to.equal(area);
      expect(means, code).to.not.equal('');
      expect(action, code).to.not.equal('');
    }
  });

  it('raises only codes of the form area.kebab-case, beside "usage"', () => {
    const others = [...allRaised().keys()].filter(
      (code) => !/^[a-z]+(-[a-z]+)*\.[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(code),
    );
    expect(others).to.deep.equal(['usage']);
  });
});

describe('the search for error codes', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'error-codes-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const errors =
    'export class TensorGuardError extends Error {} export class Refused extends TensorGuardError {}';

  function search(tree: Record<string, string>): Raised {
    for (const [file, text] of Object.entries({ 'lib/errors.ts': errors, ...tree })) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    return raisedCodes(folder, ['lib']);
  }

  function expectFound(tree: Record<string, string>, codes: string[], unresolved: string[] = []): void {
    const found = search(tree);
    expect([...found.codes.keys()]).to.have.members(codes);
    expect(found.unresolved.map(({ text }) => text)).to.have.members(unresolved);
  }

  it('finds a literal with its place', () => {
    const { codes } = search({ 'lib/a.ts': "\nthrow new Refused('a.one', 'message');\n" });
    expect([...codes]).to.deep.equal([['a.one', ['lib/a.ts:2']]]);
  });

  it('takes both branches of a condition', () => {
    expectFound({ 'lib/a.ts': "throw new Refused(ok ? 'a.one' : 'a.two', '');" }, ['a.one', 'a.two']);
  });

  it('follows a constant, and not a variable', () => {
    expectFound(
      {
        'lib/a.ts': "const a = 'a.one'; let b = 'a.two'; if (c) throw new Refused(a); throw new Refused(b);",
      },
      ['a.one'],
      ['b'],
    );
  });

  it('follows the parameter of a local function to its calls in that file alone', () => {
    expectFound(
      {
        'lib/a.ts':
          "function refuse(code: string) { throw new Refused(code, ''); } refuse('a.one'); refuse('a.two');",
        'lib/b.ts': "refuse('b.other');",
      },
      ['a.one', 'a.two'],
    );
  });

  it('follows the parameter of an exported function to its calls everywhere', () => {
    expectFound(
      {
        'lib/a.ts':
          'export function refuse(message: string, code: string) { throw new Refused(code, message); }',
        'lib/b.ts': "refuse('message', 'b.one');",
      },
      ['b.one'],
    );
  });

  it('follows a function that another returns, in a template, to all that have its type', () => {
    expectFound(
      {
        'lib/a.ts':
          `function maker(): Refuse { return (code) => { throw new Refused(\`a.\${code}\`); }; } ` +
          "const first = maker(); first('one'); function use(second: Refuse) { second('two'); }",
      },
      ['a.one', 'a.two'],
    );
  });

  it('takes the code that a class chooses itself, and not the first argument to that class', () => {
    expectFound(
      {
        'lib/a.ts':
          "class Own extends Refused { constructor(request: string) { super('a.own', request); } } " +
          "throw new Own('a.request');",
      },
      ['a.own'],
    );
  });

  it('takes what the command line prints as an error', () => {
    expectFound(
      { 'lib/a.ts': "print({ error: { code: 'a.printed', message } }); print({ code: 'a.other' });" },
      ['a.printed'],
    );
  });

  it('reports what it cannot follow', () => {
    expectFound(
      { 'lib/a.ts': 'throw new Refused(error.code); function f(code: string) { throw new Refused(code); }' },
      [],
      ['error.code', 'code'],
    );
  });

  it('ignores errors that are not of the hierarchy', () => {
    expectFound({ 'lib/a.ts': "throw new TypeError('a.one');" }, []);
  });
});

describe('the reading of documented error codes', () => {
  it('takes rows of the section alone, with their area', () => {
    const rows = documentedCodes(
      '| `x.before` | a | b |\n## Error codes\n**a**: text `a.text`.\n\n| code | means | do |\n| --- | --- | --- |\n' +
        '| `a.one` | has `a.two` | this |\n\n**b**: text\n| `b.one` | only |\n## Next\n| `x.after` | a | b |\n',
    );
    expect(rows).to.deep.equal([
      { area: 'a', code: 'a.one', means: 'has `a.two`', action: 'this' },
      { area: 'b', code: 'b.one', means: 'only', action: '' },
    ]);
  });

  it('finds nothing in a document without the section', () => {
    expect(documentedCodes('# Operations\n| `a.one` | a | b |\n')).to.deep.equal([]);
  });
});

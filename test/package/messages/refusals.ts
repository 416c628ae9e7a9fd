/** Tables of bodies that a schema must refuse, each with the field it must name. */
import { expect } from 'chai';
import { type BodyOf, type MessageKind, messageType } from '../../../lib/package/messages/registry.js';
import { smallBodies } from '../fixtures.js';

/** What is wrong, the changes that make it so, and the path that the first issue must name. */
export type Refusal<K extends MessageKind> = [
  what: string,
  changes: (body: BodyOf<K>) => Record<string, unknown>,
  path: string,
];

/** Any body with these changes; `undefined` removes a field. */
export function issuesOf<K extends MessageKind>(kind: K, changes: Record<string, unknown>): string[] {
  const body: object = smallBodies()[kind];
  const parsed = messageType(kind).schema.safeParse({ ...body, ...changes });
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => path.map(String).join('.'));
}

/** Declares a test for each refusal, one that each required field is required, and one that no other is allowed. */
export function describeRefusals<K extends MessageKind>(
  kind: K,
  optionalFields: readonly string[],
  refusals: readonly Refusal<K>[],
): void {
  it('accepts the small body that the refusals below change', () => {
    expect(issuesOf(kind, {})).to.deep.equal([]);
  });

  it('requires every field but the optional ones', () => {
    for (const field of Object.keys(smallBodies()[kind])) {
      if (optionalFields.includes(field)) continue;
      expect(issuesOf(kind, { [field]: undefined }), field).to.deep.equal([field]);
    }
  });

  it('takes null for no field', () => {
    for (const field of [...Object.keys(smallBodies()[kind]), ...optionalFields]) {
      expect(issuesOf(kind, { [field]: null }), field).to.deep.equal([field]);
    }
  });

  it('has no other fields', () => {
    expect(issuesOf(kind, { extra: 1 })).to.deep.equal(['']);
  });

  for (const [what, changes, path] of refusals) {
    it(`refuses ${what}`, () => {
      expect(issuesOf(kind, changes(smallBodies()[kind]))[0]).to.equal(path);
    });
  }
}

import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { z } from 'zod';
import { jsonSchemaOf, jsonSchemaText, PUBLISHED_SCHEMAS } from '../../lib/observability/json-schemas.js';
import { RECORD_KINDS } from '../../lib/observability/records.js';
import { privacyRecord } from './support/records.js';

const directory = fileURLToPath(new URL('../../../schemas/', import.meta.url));

describe('published schemas', () => {
  it('are the ones that the code checks by (node scripts/schemas.mjs writes them)', async () => {
    const files = (await readdir(directory)).sort();
    expect(files).to.deep.equal(PUBLISHED_SCHEMAS.map((name) => `${name}.schema.json`).sort());
    for (const name of PUBLISHED_SCHEMAS) {
      expect(await readFile(`${directory}${name}.schema.json`, 'utf8'), name).to.equal(jsonSchemaText(name));
    }
  });

  it('have every kind of record, and take and refuse as the code does', () => {
    const published = z.fromJSONSchema(jsonSchemaOf('record') as Parameters<typeof z.fromJSONSchema>[0]);
    const kinds = JSON.stringify(jsonSchemaOf('record'));
    for (const kind of RECORD_KINDS) expect(kinds).to.include(`"const":"${kind}"`);
    expect(published.safeParse(privacyRecord()).success).to.equal(true);
    for (const broken of [{ epsilonSpent: -1 }, { client: '../x' }, { delta: 2 }, { kind: 'gradient' }]) {
      expect(published.safeParse({ ...privacyRecord(), ...broken }).success).to.equal(false);
    }
  });
});

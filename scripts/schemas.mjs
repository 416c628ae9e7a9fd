/** `node scripts/schemas.mjs`, after a build: writes the JSON Schemas that the package ships. */
import { writeFile } from 'node:fs/promises';
import { jsonSchemaText, PUBLISHED_SCHEMAS } from '../dist/lib/observability/json-schemas.js';

for (const name of PUBLISHED_SCHEMAS) {
  const path = new URL(`../schemas/${name}.schema.json`, import.meta.url);
  await writeFile(path, jsonSchemaText(name));
  console.log(path.pathname);
}

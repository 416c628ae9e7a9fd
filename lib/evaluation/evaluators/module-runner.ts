/** The process in which a module evaluates: `node module-runner.js FILE`, request on stdin, JSON lines on stdout. */
import { Console } from 'node:console';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { requestSchema } from './evaluator.js';

// Stdout is for results.
globalThis.console = new Console(process.stderr, process.stderr);

const request = requestSchema.parse(JSON.parse(await text(process.stdin)));
const file = process.argv[2] as string;
const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
if (typeof module.default !== 'function')
  throw new TypeError(`${file} has no function as its default export`);

const results = (await module.default(request)) as AsyncIterable<unknown> | Iterable<unknown>;
for await (const result of results) {
  if (!process.stdout.write(`${JSON.stringify(result)}\n`)) await once(process.stdout, 'drain');
}

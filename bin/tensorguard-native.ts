#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lib/cli/program.js';
import { packageRoot } from '../lib/native.js';

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
};
process.exitCode = await run(process.argv.slice(2), version);

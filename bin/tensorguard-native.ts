#!/usr/bin/env node
import { run } from '../lib/cli/program.js';
import { packageVersion } from '../lib/cli/version.js';

process.exitCode = await run(process.argv.slice(2), packageVersion());

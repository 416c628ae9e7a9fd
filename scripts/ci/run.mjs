/** All stages of CI, two at a time. Each one's output is printed as a whole when it ends, and kept in build-ci/. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StageRunner } from './stage-runner.mjs';

// The longest first, so that no lane idles at the end.
const STAGES = ['tests', 'arm64', 'avx512', 'package', 'constant-time', 'sanitizers', 'older-x86'];
const LANES = 2;
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 };

const scripts = fileURLToPath(new URL('.', import.meta.url));
const logs = fileURLToPath(new URL('../../build-ci/', import.meta.url));
mkdirSync(logs, { recursive: true });

const started = performance.now();
const logOf = (stage) => join(logs, `${stage}.log`);
const runner = new StageRunner({
  scriptOf: (stage) => join(scripts, `${stage}.sh`),
  logOf,
  onStart: (stage) => console.log(`[${stage}] started`),
  onEnd: (stage) => process.stdout.write(`\n===== ${stage} =====\n${readFileSync(logOf(stage), 'utf8')}`),
});

for (const signal of Object.keys(EXIT_CODES)) {
  process.once(signal, () => {
    process.exitCode = EXIT_CODES[signal];
    runner.stop();
  });
}

const passed = (await runner.run(['prepare'], 1)) && (await runner.run(STAGES, LANES));
const seconds = Math.round((performance.now() - started) / 1000);
if (passed) {
  console.log(`\nAll stages passed after ${seconds} s.`);
} else {
  process.exitCode ??= 1;
  console.error(
    `\nFAILED after ${seconds} s: ${runner.failed.join(', ') || 'stopped'}. Logs are in build-ci/.`,
  );
}

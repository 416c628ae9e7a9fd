/** Mocha in several processes at once, their reports printed one after the other. */
import { spawn } from 'node:child_process';

/**
 * Runs one process of Node a part, each of them with the closing-line reporter.
 *
 * @param {readonly (readonly string[])[]} parts Node's arguments for each
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, print?(text: Buffer): void }} options
 * @returns {Promise<{ passes: number, failures: number, pending: number, failedParts: number[] }>} what all ran together;
 *   `failedParts` are indices of those that failed, or that ended before they could say what they ran
 */
export async function runSideBySide(
  parts,
  { cwd, env = process.env, print = (text) => process.stdout.write(text) },
) {
  const turns = new Turns(parts.length, print);
  const children = parts.map((parameters) =>
    spawn(process.execPath, parameters, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }),
  );
  const forward = (signal) => {
    for (const child of children) child.kill(signal);
  };
  process.on('SIGINT', forward).on('SIGTERM', forward);
  const outcomes = await Promise.all(
    children.map(async (child, i) => {
      child.stdout.on('data', (text) => turns.say(i, text));
      child.stderr.on('data', (text) => turns.say(i, text));
      const outcome = await outcomeOf(child);
      turns.end(i);
      return outcome;
    }),
  );
  process.off('SIGINT', forward).off('SIGTERM', forward);
  const total = (count) => outcomes.reduce((sum, { counts }) => sum + (counts?.[count] ?? 0), 0);
  return {
    passes: total('passes'),
    failures: total('failures'),
    pending: total('pending'),
    failedParts: outcomes.flatMap(({ status, counts }, i) =>
      status === 0 && counts !== undefined ? [] : [i],
    ),
  };
}

function outcomeOf(child) {
  return new Promise((resolve, reject) => {
    let counts;
    child.on('message', (message) => {
      counts = message;
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, counts }));
  });
}

/** Prints at once what the part says whose turn it is, and keeps what the later ones say. */
class Turns {
  #turn = 0;
  #kept;
  #ended = new Set();
  #print;

  constructor(count, print) {
    this.#kept = Array.from({ length: count }, () => []);
    this.#print = print;
  }

  say(part, text) {
    if (part === this.#turn) this.#print(text);
    else this.#kept[part].push(text);
  }

  end(part) {
    this.#ended.add(part);
    while (this.#ended.has(this.#turn)) {
      this.#turn += 1;
      for (const text of this.#kept[this.#turn]?.splice(0) ?? []) this.#print(text);
    }
  }
}

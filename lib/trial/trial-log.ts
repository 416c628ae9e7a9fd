/** What agents of a trial say: kept for the story, and passed on where something is wrong. */
import type { AgentLog, LogFields, LogLevel } from '../agents/agent-log.js';

export class TrialLog implements AgentLog {
  readonly #events = new Map<string, number>();
  #lastTrouble: string | undefined;

  constructor(
    private readonly name: string,
    private readonly onTrouble: (line: string) => void,
  ) {}

  write(level: LogLevel, event: string, fields: LogFields = {}): void {
    this.#events.set(event, (this.#events.get(event) ?? 0) + 1);
    if (level === 'info') return;
    const { code, message } = fields;
    const trouble = `${this.name}: ${event}${code === undefined ? '' : ` ${code}`}${message === undefined ? '' : `: ${message}`}`;
    // What is tried again and again is said once.
    if (trouble !== this.#lastTrouble) this.onTrouble(trouble);
    this.#lastTrouble = trouble;
  }

  has(event: string): boolean {
    return this.#events.has(event);
  }

  get lastTrouble(): string | undefined {
    return this.#lastTrouble;
  }
}

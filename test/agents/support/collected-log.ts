/** An agent's log, kept to be looked at. */
import type { AgentLog, LogFields, LogLevel } from '../../../lib/agents/agent-log.js';

export interface LoggedEvent {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

export class CollectedLog implements AgentLog {
  readonly events: LoggedEvent[] = [];

  write(level: LogLevel, event: string, fields: LogFields = {}): void {
    this.events.push({ level, event, fields });
  }

  named(event: string): LoggedEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** For messages of assertions. */
  toString(): string {
    return this.events.map((each) => JSON.stringify(each)).join('\n');
  }
}

const POLL_MS = 50;

/** Waits for something that agents are about to bring about; a failure tells what they logged. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  logs: readonly CollectedLog[],
  withinMs = 60_000,
): Promise<void> {
  for (const end = Date.now() + withinMs; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${what} did not come about:\n${logs.map(String).join('\n--\n')}`);
}

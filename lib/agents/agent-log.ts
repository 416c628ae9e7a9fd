/** What an agent says about itself: one event a line, with a stable name, for people or for a collector. */
import { TensorGuardError } from '../errors.js';
import { isSecretName, REDACTED, redacted } from '../observability/redaction.js';

export type LogLevel = 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface AgentLog {
  /** @param event a stable name such as `robot.sealed`; fields never hold secrets or what a robot learned */
  write(level: LogLevel, event: string, fields?: LogFields): void;
}

export type LogFormat = 'json' | 'text';

/** Lines with the time, for standard error: a service manager keeps them. */
export function lineLog(
  format: LogFormat,
  writeLine: (line: string) => void,
  now: () => number = Date.now,
): AgentLog {
  return {
    write(level, event, given = {}) {
      const fields = safeFields(given);
      const time = new Date(now()).toISOString();
      writeLine(
        format === 'json'
          ? JSON.stringify({ time, level, event, ...fields })
          : [time, level, event, ...textFields(fields)].join(' '),
      );
    },
  };
}

/** Also what a service or a library had to say, in a message, has no token in it. */
function safeFields(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (value !== undefined && isSecretName(name)) return [name, REDACTED];
      return [name, typeof value === 'string' ? redacted(value) : value];
    }),
  );
}

function textFields(fields: LogFields): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    // Quoted as JSON: a message from elsewhere cannot forge a line or drive a terminal.
    value === undefined ? [] : [`${name}=${typeof value === 'string' ? JSON.stringify(value) : value}`],
  );
}

/** The fields by which an error is known. */
export function errorFields(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof TensorGuardError) return { code: error.code, message: error.message };
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return {
    code: typeof code === 'string' ? `system.${code.toLowerCase()}` : 'internal.unexpected',
    message: typeof message === 'string' ? message : String(error),
  };
}

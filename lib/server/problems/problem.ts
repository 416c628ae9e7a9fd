/** Problem details (RFC 9457): the form of every error that the service answers. */
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const problemSchema = z
  .object({
    type: z.string().describe('urn:tensorguard:problem:CODE'),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().describe('For people; it may change.'),
    instance: z.string().optional().describe('The request, as the log of the server names it.'),
    code: z.string().describe('Stable; for programs.'),
    fields: z.array(z.string()).optional().describe('What was not valid, where the code is request.invalid.'),
  })
  .describe('Problem details (RFC 9457)');

export type Problem = z.infer<typeof problemSchema>;

export interface ProblemContent {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly fields?: readonly string[];
}

/** @param requestId a UUID; undefined where no request was read */
export function problemOf({ status, code, detail, fields }: ProblemContent, requestId?: string): Problem {
  return {
    type: `urn:tensorguard:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...(requestId !== undefined && { instance: `urn:uuid:${requestId}` }),
    code,
    ...(fields !== undefined && { fields: [...fields] }),
  };
}

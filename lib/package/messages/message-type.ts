/** What a kind of message is made of. */
import type { z } from 'zod';

export interface MessageType<Body> {
  /** The file name's extension, with its dot. */
  readonly extension: string;
  readonly schema: z.ZodType<Body>;
  /** The names of its sections, all of them and in this order. */
  readonly sections: readonly string[];
  /** Where the body fixes how long sections are, in bytes. */
  readonly sectionLengths?: (body: Body) => Readonly<Record<string, number>>;
}

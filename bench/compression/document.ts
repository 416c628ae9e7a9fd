/** Replaces what stands between the markers of a document, and nothing else. */
import { FormatError } from '../../lib/errors.js';

export function openingMarker(section: string): string {
  return `<!-- measured: ${section} -->`;
}

export const CLOSING_MARKER = '<!-- end of what is measured -->';

/**
 * @param sections new content by the section's name
 * @throws FormatError `compression.marker` where a section does not stand in the document exactly once
 */
export function replaceMeasured(document: string, sections: ReadonlyMap<string, string>): string {
  let result = document;
  for (const [section, content] of sections) {
    const opening = openingMarker(section);
    const [before, after, more] = result.split(opening);
    const end = after?.indexOf(CLOSING_MARKER) ?? -1;
    if (before === undefined || after === undefined || more !== undefined || end < 0) {
      throw new FormatError(
        'compression.marker',
        `The document must have "${opening}" exactly once, and "${CLOSING_MARKER}" after it.`,
      );
    }
    result = `${before}${opening}\n\n${content}\n\n${after.slice(end)}`;
  }
  return result;
}

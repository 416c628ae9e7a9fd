/**
 * Text for a terminal or a log. What people and other machines wrote (a reason, a name in a file) may hold control characters,
 * which drive terminals and forge lines: they are shown as what they are.
 */

/** Controls (C0, DEL, C1), what changes the direction of text, other line ends, halves of a surrogate pair. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}

/** One line, whatever it was made of. */
export function printableLine(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** Lines that are meant as such: the messages of errors have some. */
export function printableLines(text: string): string {
  return text.split('\n').map(printableLine).join('\n');
}

/** The same in a JSON text, where such a character can only be inside of a string, and so stays what it is. */
export function printableJson(json: string): string {
  return printableLines(json);
}

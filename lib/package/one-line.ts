/** Text for a field that takes one line, as `textSchema` has it: control characters could forge log lines and drive terminals. */
export function oneLine(text: string, maxCharacters: number): string {
  const line = text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]+/gu, ' ').slice(0, maxCharacters);
  // The cut may go through a pair of surrogates, and half a one is no character.
  return line.replace(/\p{Cs}$/u, '') || '-';
}

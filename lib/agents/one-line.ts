/** Text for a field that takes one line: control characters could forge log lines and drive terminals. */
export function oneLine(text: string, maxCharacters: number): string {
  return text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]+/gu, ' ').slice(0, maxCharacters) || '-';
}

export function closingLine({ passes, failures, pending }) {
  return `${passes} passed, ${failures} failed, ${pending} skipped`;
}

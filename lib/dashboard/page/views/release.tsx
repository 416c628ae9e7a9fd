export function ReleaseView() {
  return null;
}

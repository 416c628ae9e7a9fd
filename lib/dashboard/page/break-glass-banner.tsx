export function BreakGlassBanner() {
  return null;
}

export function EfficiencyView() {
  return null;
}

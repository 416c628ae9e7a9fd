/** Figures as people read them. What is not known is a dash. */

export function shownDuration(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '-';
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = seconds / 60;
  if (minutes < 120) return `${minutes.toFixed(0)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(0)} days`;
}

export function shownRatio(ratio: number | undefined): string {
  return ratio === undefined ? '-' : `${ratio.toFixed(2)}x`;
}

export function shownShare(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Rounded up: a figure that is read must not be below what is spent. */
export function shownEpsilon(epsilon: number): string {
  return String(Math.ceil(epsilon * 1000) / 1000);
}

/** Where the time axis has its marks, and what they say. Pure. */

export interface Tick {
  /** Milliseconds after the start. */
  at: number;
  label: string;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((count) => count * DAY),
];

/** The marks between two instants, at least `apart` pixels from one another. */
export function ticksBetween(from: number, to: number, pixelsPerMs: number, apart: number): Tick[] {
  const step = STEPS.find((each) => each * pixelsPerMs >= apart) ?? STEPS.at(-1) ?? DAY;
  const ticks: Tick[] = [];
  for (let at = Math.max(0, Math.ceil(from / step) * step); at <= to; at += step) ticks.push({ at, label: label(at, step) });
  return ticks;
}

/** As exact as the step asks: 250 ms, 1.5 s, 2:05, 1:30 h, 2 d 6 h. */
function label(at: number, step: number): string {
  if (at === 0) return "0";
  if (at < SECOND) return `${at} ms`;
  const decimals = step < 10 ? 3 : step < 100 ? 2 : step < SECOND ? 1 : 0;
  if (at < MINUTE) return `${(at / SECOND).toFixed(decimals)} s`;
  const seconds = step < SECOND ? (at / SECOND) % 60 : Math.floor(at / SECOND) % 60;
  const shown = step < SECOND ? seconds.toFixed(decimals).padStart(decimals + 3, "0") : two(seconds);
  const minutes = Math.floor(at / MINUTE);
  if (at < HOUR) return `${minutes}:${shown} min`;
  if (at < DAY) return `${Math.floor(minutes / 60)}:${two(minutes % 60)}${step < MINUTE ? `:${shown}` : ""} h`;
  const hours = Math.floor(at / HOUR) % 24;
  const days = `${Math.floor(at / DAY)} d`;
  if (step >= DAY) return days;
  return step >= HOUR ? `${days} ${hours} h` : `${days} ${hours}:${two(minutes % 60)}${step < MINUTE ? `:${shown}` : ""}`;
}

function two(count: number): string {
  return String(Math.floor(count)).padStart(2, "0");
}

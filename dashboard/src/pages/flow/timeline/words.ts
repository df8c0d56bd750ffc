/** Times and attempts in words. Pure. */
import { durationText } from "../../../parts/time";
import type { Attempt } from "./attempts";
import { spansOf, timeIn } from "./history";

/** To the millisecond: 812 ms, 3.214 s, 4 min 10.214 s, 2 h 5 min 10.214 s. */
export function exactly(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const whole = Math.floor(ms / 60_000);
  const seconds = `${((ms % 60_000) / 1_000).toFixed(3)} s`;
  if (whole === 0) return seconds;
  const minutes = whole % 60 === 0 ? "" : `${whole % 60} min `;
  return `${whole >= 60 ? `${Math.floor(whole / 60).toLocaleString()} h ` : ""}${minutes}${seconds}`;
}

/** The bars of a job for those who do not see them. */
export function timesInWords(history: readonly Attempt[], now: number, isCritical: boolean): string {
  const spans = spansOf(history, now);
  const all = { from: -Infinity, to: Infinity };
  const running = timeIn(spans, "running", all.from, all.to);
  const waiting = timeIn(spans, "waiting", all.from, all.to);
  const delayed = timeIn(spans, "delayed", all.from, all.to);
  return [
    ...(spans.some((span) => span.kind === "running") ? [`ran ${durationText(running)}`] : ["has not run"]),
    ...(waiting > 0 ? [`waited ${durationText(waiting)}`] : []),
    ...(delayed > 0 ? [`delayed ${durationText(delayed)}`] : []),
    ...(history.length > 1 ? [`${history.length} attempts`] : []),
    ...(isCritical ? ["on the critical path"] : []),
  ].join(", ");
}

export function outcomeInWords(attempt: Attempt): string {
  switch (attempt.outcome) {
    case "open":
      return attempt.startedAt === null ? "waiting" : "active";
    case "failed":
      return attempt.startedAt === null ? "failed without running" : "failed";
    case "interrupted":
      return "put back";
    default:
      return attempt.outcome;
  }
}

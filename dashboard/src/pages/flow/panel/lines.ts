/** The log lines of one job that are held: the newest, each once, in their order. */
import type { Line } from "../../../api/types";

/** More are not shown: whoever wants all of them asks the service. */
export const MOST_LINES = 1_000;

/** Lines that are known and lines that have come, in whatever order they came. */
export function withLines(known: readonly Line[], more: readonly Line[]): readonly Line[] {
  const last = known.at(-1)?.n ?? -Infinity;
  const isInOrder = more.every((line, place) => line.n > (more[place - 1]?.n ?? last));
  if (isInOrder) return [...known, ...more].slice(-MOST_LINES);
  const byNumber = new Map([...known, ...more].map((line) => [line.n, line]));
  return [...byNumber.values()].sort((a, b) => a.n - b.n).slice(-MOST_LINES);
}

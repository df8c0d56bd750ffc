/** Stretches in which nothing of a flow ran or waited, as between a failure and its retry; and time without them. Pure. */
import type { Attempt } from "./attempts";
import { spansOf } from "./history";
import { ticksBetween, type Tick } from "./ticks";

export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** Shorter ones are left as they are. */
const SHORTEST_MS = 5_000;
/** How wide a folded gap is, as a share of all that is not folded; and all of them together. */
const WIDTH = 0.12;
const WIDTH_OF_ALL = 0.5;

/** The gaps between two instants that are so long that what happened around them could not be read beside them. */
export function gapsIn(histories: Iterable<readonly Attempt[]>, from: number, to: number, now: number): Gap[] {
  const spans = [...histories].flatMap((history) => spansOf(history, now)).sort((one, other) => one.from - other.from);
  const gaps: Gap[] = [];
  let end = from;
  for (const span of spans) {
    if (span.from > end) gaps.push({ from: end, to: span.from });
    end = Math.max(end, span.to);
  }
  const busy = to - from - idleIn(gaps, from, to);
  return gaps.filter((gap) => gap.to - gap.from >= Math.max(SHORTEST_MS, 2 * WIDTH * busy));
}

/** How long the gaps last between two instants. */
export function idleIn(gaps: readonly Gap[], from: number, to: number): number {
  return gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(gap.to, to) - Math.max(gap.from, from)), 0);
}

/** Time as it is drawn: from a start on, with each gap folded to the same short length. */
export class DrawnTime {
  readonly duration: number;
  private readonly folded: number;

  constructor(
    readonly start: number,
    readonly end: number,
    readonly gaps: readonly Gap[],
  ) {
    const busy = Math.max(1, end - start - idleIn(gaps, start, end));
    this.folded = busy * Math.min(WIDTH, WIDTH_OF_ALL / Math.max(1, gaps.length));
    this.duration = busy + gaps.length * this.folded;
  }

  /** How many drawn milliseconds after the start an instant is. */
  at(instant: number): number {
    let at = instant - this.start;
    for (const gap of this.gaps) {
      if (instant <= gap.from) break;
      const part = (Math.min(instant, gap.to) - gap.from) / (gap.to - gap.from);
      at -= part * (gap.to - gap.from - this.folded);
    }
    return Math.max(0, at);
  }

  /** The marks of the axis between two places of it. They tell the true time; before a gap there is room for its length. */
  ticks(from: number, to: number, pixelsPerMs: number, apart: number): Tick[] {
    const starts = [this.start, ...this.gaps.map((gap) => gap.to)];
    return starts.flatMap((start, index) => {
      const end = this.gaps[index]?.from ?? Infinity;
      // From drawn to true milliseconds after the start; in between gaps they differ by as much everywhere.
      const ahead = start - this.start - this.at(start);
      const first = Math.max(from + ahead, start - this.start);
      const last = Math.min(to + ahead, end - this.start - (0.6 * apart) / pixelsPerMs);
      return ticksBetween(first, last, pixelsPerMs, apart).map(({ at, label }) => ({ at: at - ahead, label }));
    });
  }
}

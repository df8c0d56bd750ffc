/** How numbers went in the last ten minutes, as far as the page was open. Nothing of it is stored anywhere. */

export const KEPT_MS = 600_000;
/** The shortest time that a line covers: else the first seconds would be a wild ride. */
const SHORTEST_MS = 30_000;
/** Between samples further apart nobody knows what was: the page slept, or got no answer. */
const GAP_MS = 10_000;

export interface Sample {
  at: number;
  values: readonly number[];
}

/** The samples of many things, by name. */
export class History {
  private readonly byName = new Map<string, readonly Sample[]>();

  take(name: string, at: number, values: readonly number[]): void {
    this.byName.set(name, remember(this.of(name), { at, values }));
  }

  of(name: string): readonly Sample[] {
    return this.byName.get(name) ?? NONE;
  }

  /** Forget what has not been heard of for as long as samples are kept. */
  sweep(now: number): void {
    for (const [name, samples] of this.byName) {
      if ((samples.at(-1)?.at ?? 0) < now - KEPT_MS) this.byName.delete(name);
    }
  }
}

const NONE: readonly Sample[] = [];

/** These samples with one more, without those that are too old. */
export function remember(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const oldest = sample.at - KEPT_MS;
  return [...samples.filter(({ at }) => at >= oldest && at < sample.at), sample];
}

export interface Frame {
  from: number;
  to: number;
  /** The value at the upper edge. */
  most: number;
}

/** What a drawing of these samples covers. */
export function frameOf(samples: readonly Sample[]): Frame {
  const to = samples.at(-1)?.at ?? 0;
  const from = Math.min(samples[0]?.at ?? to, to - SHORTEST_MS);
  return { from, to, most: niceAbove(samples.reduce((most, { values }) => Math.max(most, ...values), 0)) };
}

/** The next of 1, 2, 5, 10, 20, 50 … */
export function niceAbove(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return (([1, 2, 5, 10] as const).find((step) => step * power >= value) ?? 10) * power;
}

/** The line of the value at `place` as an SVG path in a box of that size. Where nothing is known there is a gap. */
export function pathOf(samples: readonly Sample[], place: number, frame: Frame, width: number, height: number): string {
  let before = -Infinity;
  const steps = samples.map(({ at, values }) => {
    const x = ((at - frame.from) / (frame.to - frame.from)) * width;
    const y = height - ((values[place] ?? 0) / frame.most) * height;
    const point = `${x.toFixed(1)} ${y.toFixed(1)}`;
    // A point of no length is drawn as a dot, so that a lone sample is seen.
    const step = at - before > GAP_MS ? `M${point}h0` : `L${point}`;
    before = at;
    return step;
  });
  return steps.join("");
}

export interface Series {
  word: string;
  color: string;
  /** Told apart from the others without colour. */
  isDashed?: boolean;
}

/** What a drawing shows, for those who do not see it. */
export function inWords(samples: readonly Sample[], series: readonly Series[], textOf: (value: number) => string = String): string {
  const last = samples.at(-1);
  if (last === undefined) return "nothing known yet";
  return series
    .map(({ word }, place) => {
      const most = samples.reduce((most, { values }) => Math.max(most, values[place] ?? 0), 0);
      return `${word} ${textOf(last.values[place] ?? 0)} now, at most ${textOf(most)}`;
    })
    .join("; ");
}

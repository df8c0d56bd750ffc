/** How numbers went, and how that is drawn. */
import { describe, expect, test } from "vitest";
import { frameOf, History, inWords, KEPT_MS, niceAbove, pathOf, remember, type Sample } from "../src/api/history";

describe("samples", () => {
  test("are kept for ten minutes, and not longer", () => {
    const samples = [...[0, 1, KEPT_MS].map((at) => sample(at))].reduce<readonly Sample[]>(remember, []);

    expect(remember(samples, sample(KEPT_MS + 1)).map(({ at }) => at)).toEqual([1, KEPT_MS, KEPT_MS + 1]);
  });

  test("are in the order of time, even when the clock is put back", () => {
    expect([sample(5), sample(9), sample(7)].reduce<readonly Sample[]>(remember, []).map(({ at }) => at)).toEqual([5, 7]);
  });

  test("of many things are kept apart, and forgotten when nothing is heard of one any more", () => {
    const history = new History();
    history.take("gone", 0, [1]);
    history.take("here", 0, [2]);
    history.take("here", KEPT_MS, [3]);

    history.sweep(KEPT_MS + 1);

    expect(history.of("gone")).toEqual([]);
    expect(history.of("here").map(({ values }) => values[0])).toEqual([2, 3]);
    expect(history.of("unknown")).toBe(history.of("gone"));
  });
});

describe("a drawing", () => {
  test("covers what is known, but at least half a minute", () => {
    expect(frameOf([sample(100_000, 1), sample(101_000, 7)])).toEqual({ from: 71_000, to: 101_000, most: 10 });
    expect(frameOf([sample(0, 30), sample(101_000, 7)])).toEqual({ from: 0, to: 101_000, most: 50 });
    expect(frameOf([])).toEqual({ from: -30_000, to: 0, most: 1 });
  });

  test.each([
    [0, 1],
    [1, 1],
    [1.5, 2],
    [3, 5],
    [5, 5],
    [6, 10],
    [11, 20],
    [1_000, 1_000],
    [1_001, 2_000],
  ])("of at most %d goes up to %d", (value, most) => expect(niceAbove(value)).toBe(most));

  test("is a line through its samples, with its zero below", () => {
    const samples = [sample(0, 0), sample(5_000, 5), sample(10_000, 10)];

    expect(pathOf(samples, 0, { from: 0, to: 10_000, most: 10 }, 100, 20)).toBe("M0.0 20.0h0L50.0 10.0L100.0 0.0");
  });

  test("has a gap where nothing is known", () => {
    const samples = [sample(0, 1), sample(10_000, 1), sample(20_001, 1)];

    expect(pathOf(samples, 0, { from: 0, to: 40_000, most: 1 }, 100, 10).match(/[ML]/g)).toEqual(["M", "L", "M"]);
  });

  test("is told in words", () => {
    const samples = [sample(0, 4, 9), sample(1, 2, 3)];
    const series = [
      { word: "Waiting", color: "" },
      { word: "Active", color: "" },
    ];

    expect(inWords(samples, series, (value) => `${value}!`)).toBe("Waiting 2! now, at most 4!; Active 3! now, at most 9!");
    expect(inWords([], series)).toBe("nothing known yet");
  });
});

function sample(at: number, ...values: number[]): Sample {
  return { at, values };
}

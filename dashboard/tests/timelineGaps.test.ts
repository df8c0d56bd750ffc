import { describe, expect, test } from "vitest";
import { newAttempt, type Attempt } from "../src/pages/flow/timeline/attempts";
import { DrawnTime, gapsIn, idleIn } from "../src/pages/flow/timeline/gaps";

describe("gaps", () => {
  test("are where no job ran, waited or was delayed", () => {
    const histories = [[waitedAndRan(0, 500, 1_000)], [waitedAndRan(200, 600, 2_000), waitedAndRan(300_000, 301_000, 302_000)]];

    expect(gapsIn(histories, 0, 302_000, 302_000)).toEqual([{ from: 2_000, to: 300_000 }]);
  });

  test("are left as they are when they are short, or short beside the rest", () => {
    const short = [[waitedAndRan(0, 0, 10), waitedAndRan(4_000, 4_000, 4_010)]];
    const beside = [[waitedAndRan(0, 0, 60_000), waitedAndRan(70_000, 70_000, 100_000)]];

    expect(gapsIn(short, 0, 4_010, 4_010)).toEqual([]);
    expect(gapsIn(beside, 0, 100_000, 100_000)).toEqual([]);
  });

  test("are not where something still goes on", () => {
    const running = { ...waitedAndRan(0, 0, 0), endedAt: null };

    expect(gapsIn([[running], [waitedAndRan(300_000, 300_000, 300_100)]], 0, 400_000, 400_000)).toEqual([]);
  });

  test("last between two instants for as much of them as lies there", () => {
    const gaps = [{ from: 10, to: 20 }, { from: 40, to: 50 }];

    expect([idleIn(gaps, 0, 100), idleIn(gaps, 15, 45), idleIn(gaps, 20, 40)]).toEqual([20, 10, 0]);
  });
});

describe("drawn time", () => {
  const time = new DrawnTime(1_000, 303_000, [{ from: 3_000, to: 301_000 }]);

  test("runs as it does outside of gaps, and each gap is as long as an eighth of the rest, or less", () => {
    expect(time.duration).toBe(4_480);
    expect([1_000, 3_000, 301_000, 303_000].map((at) => time.at(at))).toEqual([0, 2_000, 2_480, 4_480]);
    expect(time.at(152_000)).toBeCloseTo(2_240);
    expect(time.at(0)).toBe(0);
  });

  test("is all of time where there is no gap", () => {
    const whole = new DrawnTime(0, 1_000, []);

    expect([whole.duration, whole.at(700)]).toEqual([1_000, 700]);
  });

  test("has marks on both sides of a gap, which tell the true time, and none within", () => {
    const ticks = time.ticks(0, 4_480, 0.1, 50);

    expect(ticks.map(({ at, label }) => [Math.round(at), label])).toEqual([
      [0, "0"],
      [500, "500 ms"],
      [1_000, "1.0 s"],
      [1_500, "1.5 s"],
      [2_480, "5:00.0 min"],
      [2_980, "5:00.5 min"],
      [3_480, "5:01.0 min"],
      [3_980, "5:01.5 min"],
      [4_480, "5:02.0 min"],
    ]);
  });

  test("has no marks outside of what is in sight", () => {
    expect(time.ticks(2_600, 3_100, 0.1, 50).map(({ at }) => Math.round(at))).toEqual([2_980]);
  });
});

function waitedAndRan(waitingFrom: number, startedAt: number, endedAt: number): Attempt {
  return { ...newAttempt(1, 1), waitingFrom, startedAt, endedAt, outcome: "completed" };
}

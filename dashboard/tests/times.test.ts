import { describe, expect, test } from "vitest";
import { newAttempt, type Attempt } from "../src/pages/flow/timeline/attempts";
import { ticksBetween } from "../src/pages/flow/timeline/ticks";
import { exactly, outcomeInWords, timesInWords } from "../src/pages/flow/timeline/words";
import { faultsIn, fieldsOf, limitsInWords, requestOf, sameFields } from "../src/pages/queues/limits";
import { ageText, durationText, timeOfDay, utcText } from "../src/parts/time";

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];

describe("a duration", () => {
  test.each([
    [-5, "0 ms"],
    [0, "0 ms"],
    [999, "999 ms"],
    [999.6, "1.0 s"],
    [1_000, "1.0 s"],
    [3_249, "3.2 s"],
    [9_949, "9.9 s"],
    [9_950, "10 s"],
    [59_499, "59 s"],
    [59_500, "1 min"],
    [4 * MINUTE + 10 * SECOND, "4 min 10 s"],
    [HOUR - 1, "1 h"],
    [2 * HOUR + 5 * MINUTE + 59 * SECOND, "2 h 5 min"],
    [3 * DAY + 4 * HOUR, "3 d 4 h"],
    [7 * DAY, "7 d"],
  ])("of %d ms is %s", (ms, text) => expect(durationText(ms)).toBe(text));

  test.each([
    [812, "812 ms"],
    [3_214, "3.214 s"],
    [4 * MINUTE + 10_214, "4 min 10.214 s"],
    [2 * HOUR + 5 * MINUTE + 10_214, "2 h 5 min 10.214 s"],
    [2 * HOUR, "2 h 0.000 s"],
  ])("of %d ms is, exactly, %s", (ms, text) => expect(exactly(ms)).toBe(text));

  test.each([
    [4_999, "just now"],
    [40 * SECOND, "40 s ago"],
    [20 * MINUTE + 30 * SECOND, "20 min ago"],
    [DAY + 5 * HOUR, "1 d ago"],
  ])("of %d ms ago is %s", (ms, text) => expect(ageText(ms)).toBe(text));
});

describe("an instant", () => {
  const local = new Date(2030, 4, 6, 7, 8, 9, 12);

  test("has its local time of day, and its day where that is another one", () => {
    expect(timeOfDay(local.getTime())).toBe("07:08:09.012");
    expect(timeOfDay(local.toISOString(), new Date(2030, 4, 6, 23).toISOString())).toBe("07:08:09.012");
    expect(timeOfDay(local.getTime(), new Date(2030, 4, 5, 23).toISOString())).toMatch(/6.* 07:08:09\.012$/);
  });

  test("has its time in UTC", () => {
    expect(utcText("2030-01-02T03:04:05.678Z")).toBe("2030-01-02 03:04:05.678 UTC");
  });
});

describe("the marks of a time axis", () => {
  test("are as far apart as asked, at round numbers, and none is outside", () => {
    expect(ticksBetween(130, 1_000, 0.1, 20).map(({ at }) => at)).toEqual([200, 400, 600, 800, 1_000]);
    expect(ticksBetween(-500, 100, 1, 50).map(({ at }) => at)).toEqual([0, 50, 100]);
  });

  test.each<[step: number, at: number, label: string]>([
    [50, 0, "0"],
    [50, 250, "250 ms"],
    [1, 1_234, "1.234 s"],
    [50, 1_250, "1.25 s"],
    [500, 1_500, "1.5 s"],
    [5 * SECOND, 15_000, "15 s"],
    [5 * SECOND, 125_000, "2:05 min"],
    [500, 65_500, "1:05.5 min"],
    [50, 65_050, "1:05.05 min"],
    [2, 65_002, "1:05.002 min"],
    [2, 75_002, "1:15.002 min"],
    [MINUTE, 90 * MINUTE, "1:30 h"],
    [SECOND, 90 * MINUTE + 5 * SECOND, "1:30:05 h"],
    [6 * HOUR, 2 * DAY + 6 * HOUR, "2 d 6 h"],
    [30 * MINUTE, 2 * DAY + 6 * HOUR + 30 * MINUTE, "2 d 6:30"],
    [2 * DAY, 4 * DAY, "4 d"],
  ])("a step of %d ms apart, say at %d: %s", (step, at, label) => {
    expect(ticksBetween(at, at, 1, step)).toEqual([{ at, label }]);
  });

  test("are never endless, however much there is to cover", () => {
    expect(ticksBetween(0, 10_000 * DAY, 1e-12, 100).length).toBeLessThan(20);
  });
});

describe("attempts in words", () => {
  const failed = anAttempt({ waitingFrom: 0, startedAt: 10_000, endedAt: 30_000, outcome: "failed" });
  const running = anAttempt({ number: 2, delayedFrom: 30_000, waitingFrom: 40_000, startedAt: 45_000 });

  test("say how long each kind of time was", () => {
    expect(timesInWords([failed, running], 50_000, true)).toBe("ran 25 s, waited 15 s, delayed 10 s, 2 attempts, on the critical path");
    expect(timesInWords([anAttempt({})], 50_000, false)).toBe("has not run");
  });

  test("say how each ended", () => {
    const others = [anAttempt({}), anAttempt({ outcome: "failed" }), anAttempt({ outcome: "interrupted" })];

    expect([failed, running, ...others].map(outcomeInWords)).toEqual([
      "failed",
      "active",
      "waiting",
      "failed without running",
      "put back",
    ]);
  });
});

describe("limits", () => {
  test("are told one by one", () => {
    expect(limitsInWords({ concurrency: null, rateLimit: null })).toEqual([]);
    expect(limitsInWords({ concurrency: 5, rateLimit: { max: 10, duration: MINUTE } })).toEqual(["5 at once", "10 per 1 min"]);
  });

  test("are typed with seconds and sent with milliseconds", () => {
    const set = { concurrency: null, rateLimit: { max: 10, duration: 1_500 } };
    expect(fieldsOf(set)).toEqual({ concurrency: "", max: 10, duration: 1.5 });
    expect(requestOf(fieldsOf(set))).toEqual(set);
  });

  test("are looked at before they are sent", () => {
    expect(faultsIn({ concurrency: "", max: "", duration: "" })).toEqual({});
    expect(faultsIn({ concurrency: 1, max: 10, duration: 0.5 })).toEqual({});
    expect(faultsIn({ concurrency: 0, max: 10, duration: "" })).toEqual({
      concurrency: "It must be 1 or more",
      duration: "In how many seconds?",
    });
    expect(faultsIn({ concurrency: -1, max: "", duration: 0 })).toMatchObject({
      max: "How many jobs?",
      duration: "It must be more than 0",
    });
  });

  test("are not sent where they are empty", () => {
    const none = { concurrency: "", max: "", duration: "" };

    expect(requestOf(none)).toEqual({ concurrency: null, rateLimit: null });
    expect([sameFields(none, { ...none }), sameFields(none, { ...none, max: 1 })]).toEqual([true, false]);
  });
});

function anAttempt(fields: Partial<Attempt>): Attempt {
  return { ...newAttempt(1, 1), ...fields };
}

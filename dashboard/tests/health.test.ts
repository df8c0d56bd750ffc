/** What the page of the service's health says. */
import { describe, expect, test } from "vitest";
import type { Sample } from "../src/api/history";
import type { Readiness } from "../src/api/types";
import { backlogCheck, isStuck, lagCheck, partChecks } from "../src/pages/health/checks";

describe("the health", () => {
  const ready: Readiness = { status: "ready", store: "ok", engine: "ok", recorder: "ok", recorderLag: 10, dispatchBacklog: 0 };

  test("of each part is what the service says, and nobody is told what to do about what nobody knows", () => {
    expect(partChecks({ ...ready, engine: "no answer" }, "open").map(({ name, wellness, value }) => [name, wellness, value])).toEqual([
      ["Store", "ok", "ok"],
      ["Engine", "away", "no answer"],
      ["Recorder", "ok", "ok"],
      ["Live line", "ok", "ok"],
    ]);
    expect(partChecks(undefined, "lost").map(({ wellness, wayOut }) => [wellness, wayOut === ""])).toEqual([
      ["unknown", true],
      ["unknown", true],
      ["unknown", true],
      ["away", false],
    ]);
  });

  test.each([
    [0, "ok", "0 ms"],
    [5_000, "ok", "5.0 s"],
    [5_001, "slow", "5.0 s"],
    [null, "unknown", "not known"],
  ])("of a recorder that is %s ms behind is %s", (recorderLag, wellness, value) => {
    expect(lagCheck({ ...ready, recorderLag })).toMatchObject({ wellness, value });
  });

  test("of a backlog is bad only when it has not got less for half a minute", () => {
    expect([0, 10_000, 20_000, 29_999].map((last) => isStuck([sample(0, 5), sample(last, 5)]))).toEqual([false, false, false, false]);
    expect(isStuck([sample(0, 5), sample(15_000, 9), sample(30_000, 5)])).toBe(true);
    expect(isStuck([sample(0, 5), sample(15_000, 0), sample(30_000, 5)])).toBe(false);
    expect(isStuck([sample(0, 5), sample(30_000, 4)])).toBe(false);
    expect(isStuck([])).toBe(false);
    const stuck = [sample(0, 5), sample(30_000, 5)];
    expect(backlogCheck({ ...ready, dispatchBacklog: 5 }, stuck)).toMatchObject({ wellness: "slow", value: "5 flows" });
    expect(backlogCheck({ ...ready, dispatchBacklog: 1 }, [])).toMatchObject({ wellness: "ok", value: "1 flow" });
    expect(backlogCheck(undefined, [])).toMatchObject({ wellness: "unknown", wayOut: "" });
  });
});

function sample(at: number, value: number): Sample {
  return { at, values: [value] };
}

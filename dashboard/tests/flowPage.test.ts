/** Small things of a flow's page. */
import { describe, expect, test, vi } from "vitest";
import { hasEnded, type ExplainedReason, type FlowEvent, type Line } from "../src/api/types";
import { pieces, usualInWords, worthAWord } from "../src/pages/flow/explain/reasons";
import { isEmpty, matches, type Filter } from "../src/pages/flow/log/filter";
import { inShort } from "../src/pages/flow/log/words";
import { MOST_LINES, withLines } from "../src/pages/flow/panel/lines";
import { placeIn, withPlace } from "../src/pages/flow/place";
import { anEntry } from "./support/events";

// Thousands of icons take long to load, and none is looked at here.
vi.mock("@tabler/icons-react", () => new Proxy({}, { has: () => true, get: (_, name) => (name === "then" ? undefined : name) }));

describe("the place on a flow's page", () => {
  test.each([
    ["", { view: "graph", jobId: null }],
    ["?tab=timeline&job=a%2Fb", { view: "timeline", jobId: "a/b" }],
    ["?tab=nothing&job=", { view: "graph", jobId: null }],
  ] as const)("in %j is %o", (search, place) => expect(placeIn(search)).toEqual(place));

  test("is put into the address, where everything else stays", () => {
    expect(withPlace("?x=1&tab=log&job=old", { view: "timeline", jobId: "a/b" })).toBe("?x=1&tab=timeline&job=a%2Fb");
    expect(withPlace("?tab=log&job=old", { view: "graph", jobId: null })).toBe("");
  });
});

describe("log lines of a job", () => {
  test.each([
    ["that come in order", [1, 2], [3, 4], [1, 2, 3, 4]],
    ["that come twice", [1, 2], [2, 3], [1, 2, 3]],
    ["that come too late", [1, 4], [3, 2], [1, 2, 3, 4]],
    ["that come first", [], [2, 3], [2, 3]],
  ])("%s are each there once, in their order", (_, known, more, all) => {
    expect(withLines(lines(...known), lines(...more)).map(({ n }) => n)).toEqual(all);
  });

  test("are the newest when there are too many", () => {
    const many = Array.from({ length: MOST_LINES }, (_, place) => place + 1);

    expect(withLines(lines(...many), lines(MOST_LINES + 1)).map(({ n }) => n)).toEqual([...many.slice(1), MOST_LINES + 1]);
    expect(withLines(lines(...many.slice(1)), lines(1, MOST_LINES + 1))).toHaveLength(MOST_LINES);
  });
});

describe("an entry in short", () => {
  test.each<[FlowEvent["event"], object, string]>([
    ["job.active", { attempt: 2, worker: "w1" }, "attempt 2 · w1"],
    ["job.active", {}, ""],
    ["job.completed", { result: { size: 5 } }, '{"size":5}'],
    ["job.completed", { result: null }, ""],
    ["job.failed", { error: { attempt: 3, message: "no space" } }, "attempt 3: no space"],
    ["flow.failed", { error: { message: "no space" } }, "no space"],
    ["flow.retried", { jobs: 1 }, "1 job runs again"],
    ["flow.recovered", { jobs: 5 }, "5 jobs run again"],
    ["job.waiting", { parentId: "film", status: "waiting" }, "added while the flow runs"],
    ["job.waiting", { run: 2, status: "waiting-children" }, "run 2 · waits for children"],
    ["flow.created", {}, ""],
  ])("%s with %j says %j", (event, data, text) => expect(inShort(anEntry(1, event, "job", data))).toBe(text));

  test("is cut where it is long", () => {
    expect(inShort(anEntry(1, "job.completed", "job", { result: "x".repeat(500) }))).toHaveLength(201);
  });
});

describe("a search of the log", () => {
  const entry = anEntry(1, "job.failed", "ID-5", { error: { message: "No space left" } });

  test.each<[Partial<Filter>, boolean]>([
    [{}, true],
    [{ text: "space" }, true],
    [{ text: " DOWNLOAD " }, true],
    [{ text: "id-5" }, true],
    [{ text: "failed" }, true],
    [{ text: "elsewhere" }, false],
    [{ kinds: ["job.failed", "job.active"] }, true],
    [{ kinds: ["job.active"], text: "space" }, false],
  ])("for %j finds it: %s", (filter, isFound) => {
    expect(matches({ kinds: [], text: "", ...filter }, entry, "download")).toBe(isFound);
  });

  test("for nothing is none", () => {
    expect([isEmpty({ kinds: [], text: "  " }), isEmpty({ kinds: [], text: "x" }), isEmpty({ kinds: ["job.active"], text: "" })]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe("why jobs do not run", () => {
  const reasons = [aReason("running", 1), aReason("no-worker", 3), aReason("waits-for-children", 2), aReason("running", 1_000)];

  test("is worth a word unless all is as it should be", () => {
    expect(worthAWord(reasons).map(({ reason }) => reason)).toEqual(["no-worker"]);
    expect(usualInWords(reasons)).toBe(`${(1_001).toLocaleString()} jobs run, 2 wait for children`);
    expect([usualInWords([]), usualInWords(reasons.slice(0, 2))]).toEqual(["", "1 job runs"]);
  });

  test("is a sentence with code in it", () => {
    expect(pieces("start it with `bullflow worker`.")).toEqual([
      { text: "Start it with ", isCode: false },
      { text: "bullflow worker", isCode: true },
      { text: ".", isCode: false },
    ]);
  });
});

test("a state is an end or it is not", () => {
  expect((["completed", "failed", "cancelled"] as const).every(hasEnded)).toBe(true);
  expect((["waiting", "waiting-children", "delayed", "prioritized", "active"] as const).some(hasEnded)).toBe(false);
});

function lines(...numbers: number[]): Line[] {
  return numbers.map((n) => ({ n, id: "job", run: 1, at: "", line: String(n) }));
}

function aReason(reason: ExplainedReason["reason"], count: number): ExplainedReason {
  return { reason, count, queueName: "films", detail: "", jobs: [] };
}

/** The attempts of a job as the timeline shows them. */
import { describe, expect, test } from "vitest";
import { Jobs, type OutlinedJob } from "../src/board/jobs";
import { newAttempt, type Attempt } from "../src/pages/flow/timeline/attempts";
import { historyOf, spansOf, timeIn } from "../src/pages/flow/timeline/history";
import { instant } from "./support/events";
import { outlined, ran } from "./support/trees";

describe("without a log, of a job without children", () => {
  test("that has ended the board knows its last attempt, and that it waited from its creation on", () => {
    const job = ran("film", 20, 50, { attemptsMade: 2, worker: "w1" });

    expect(history(job)).toMatchObject([
      { run: 1, number: 2, waitingFrom: 0, startedAt: 20, endedAt: 50, outcome: "completed", worker: "w1" },
    ]);
  });

  test("that runs the attempt is the one after those that were made", () => {
    expect(history(ran("film", 20, null, { attemptsMade: 1 }))).toMatchObject([
      { number: 2, startedAt: 20, endedAt: null, outcome: "open" },
    ]);
  });

  test("that is put off it is so from its creation on", () => {
    expect(history(outlined("film", { status: "delayed" }))).toMatchObject([{ delayedFrom: 0, waitingFrom: null }]);
  });

  test("that was cancelled while it waited the attempt ends with that", () => {
    expect(history(outlined("film", { status: "cancelled", finishedAt: instant(30) }))).toMatchObject([
      { number: 1, waitingFrom: 0, startedAt: null, endedAt: 30, outcome: "cancelled" },
    ]);
  });

  test("that runs again nobody knows since when it had waited", () => {
    expect(history(ran("film", 200, 250, { run: 2 }))).toMatchObject([{ run: 2, waitingFrom: 200, startedAt: 200 }]);
  });
});

describe("without a log, a parent", () => {
  test("waited from the end of its last child on", () => {
    const children = [ran("film/a", 10, 80), ran("film/b", 10, 60)];

    expect(history(ran("film", 90, 120), children)).toMatchObject([{ waitingFrom: 80, startedAt: 90 }]);
  });

  test("that began before a child had ended waited for nothing", () => {
    expect(history(ran("film", 90, 120), [ran("film/a", 10, 100)])).toMatchObject([{ waitingFrom: 90, startedAt: 90 }]);
  });

  test("of running children waits for them, which takes none of its time", () => {
    const [attempt] = history(outlined("film", { status: "waiting-children" }), [ran("film/a", 10, null)]);

    expect(attempt).toMatchObject({ delayedFrom: null, waitingFrom: null, startedAt: null });
    expect(spansOf([attempt!], 500)).toEqual([]);
  });

  test("that ended without having run has taken no time", () => {
    const parent = outlined("film", { status: "failed", finishedAt: instant(90) });

    expect(history(parent, [ran("film/a", 10, 80, { status: "failed" })])).toMatchObject([
      { waitingFrom: null, startedAt: null, endedAt: 90 },
    ]);
  });
});

describe("with a log", () => {
  test("that tells everything the board adds nothing", () => {
    const told = [anAttempt({ waitingFrom: 0, startedAt: 20, endedAt: 50, outcome: "completed" })];

    expect(history(ran("film", 20, 50), [], told)).toEqual(told);
  });

  test("a job that came into its queue after its creation was put off before", () => {
    const told = [anAttempt({ waitingFrom: 100, startedAt: 120 })];

    expect(history(ran("film", 120, null), [], told)).toMatchObject([{ delayedFrom: 0, waitingFrom: 100 }]);
  });

  test("a parent that came into its queue after its creation waited for its children, and was not put off", () => {
    const told = [anAttempt({ waitingFrom: 100, startedAt: 120 })];

    expect(history(ran("film", 120, null), [ran("film/a", 10, 100)], told)).toMatchObject([{ delayedFrom: null, waitingFrom: 100 }]);
  });

  test("that is behind the board has the board's attempt after what has begun", () => {
    const told = [anAttempt({ waitingFrom: 0, startedAt: 20, endedAt: 30, outcome: "failed" }), anAttempt({ number: 2, delayedFrom: 30 })];

    expect(history(ran("film", 140, 150, { attemptsMade: 2 }), [], told)).toMatchObject([
      { number: 1, outcome: "failed" },
      { number: 2, startedAt: 140, endedAt: 150, outcome: "completed" },
    ]);
  });

  test("that does not know of a new run yet has the board's", () => {
    const told = [anAttempt({ waitingFrom: 0, startedAt: 20, endedAt: 30, outcome: "failed" })];

    expect(history(outlined("film", { run: 2 }), [], told)).toMatchObject([{ run: 1 }, { run: 2, startedAt: null, outcome: "open" }]);
  });

  test("that does not know of the end yet has the board's", () => {
    const told = [anAttempt({ waitingFrom: 0, startedAt: 20 })];

    expect(history(ran("film", 20, 50), [], told)).toMatchObject([{ startedAt: 20, endedAt: 50, outcome: "completed" }]);
  });
});

describe("spans", () => {
  const attempts = [
    anAttempt({ delayedFrom: 0, waitingFrom: 10, startedAt: 15, endedAt: 40, outcome: "failed" }),
    anAttempt({ number: 2, delayedFrom: 40, waitingFrom: 60, startedAt: 70 }),
  ];

  test("follow one another up to now", () => {
    expect(spansOf(attempts, 100).map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ["delayed", 0, 10],
      ["waiting", 10, 15],
      ["running", 15, 40],
      ["delayed", 40, 60],
      ["waiting", 60, 70],
      ["running", 70, 100],
    ]);
  });

  test("never end before they begin, whatever the clock of the page says", () => {
    expect(spansOf([anAttempt({ startedAt: 70 })], 60).map(({ from, to }) => [from, to])).toEqual([[70, 70]]);
  });

  test("that were put off go on until the job runs when no queue is told of", () => {
    expect(spansOf([anAttempt({ delayedFrom: 0, startedAt: 30, endedAt: 40 })], 100).map(({ kind, to }) => [kind, to])).toEqual([
      ["delayed", 30],
      ["running", 40],
    ]);
  });

  test("are measured by kind, and no further than asked", () => {
    const spans = spansOf(attempts, 100);

    expect(timeIn(spans, "running", -Infinity, Infinity)).toBe(25 + 30);
    expect(timeIn(spans, "running", 20, 80)).toBe(20 + 10);
    expect(timeIn(spans, "delayed", 45, 50)).toBe(5);
    expect(timeIn(spans, "waiting", 41, 59)).toBe(0);
  });
});

function history(job: OutlinedJob, children: OutlinedJob[] = [], told?: Attempt[]): readonly Attempt[] {
  const jobs = new Jobs([job, ...children]);
  return historyOf(jobs.root!, jobs, new Map(told === undefined ? [] : [[job.id, told]]));
}

function anAttempt(fields: Partial<Attempt>): Attempt {
  return { ...newAttempt(1, 1), ...fields };
}

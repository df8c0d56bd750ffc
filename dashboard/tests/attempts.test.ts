import { describe, expect, test } from "vitest";
import type { FlowEvent } from "../src/api/types";
import { AttemptBook, type Attempt } from "../src/pages/flow/timeline/attempts";
import { anEntry } from "./support/events";

type Told = readonly [ms: number, event: FlowEvent["event"], data?: object, id?: string];

describe("an attempt", () => {
  test("waits, runs on a worker, and ends", () => {
    const attempts = attemptsOf(
      [10, "job.waiting", { status: "waiting" }],
      [20, "job.active", { attempt: 1, worker: "w1" }],
      [50, "job.completed"],
    );

    expect(attempts).toEqual([
      {
        run: 1,
        number: 1,
        delayedFrom: null,
        waitingFrom: 10,
        startedAt: 20,
        endedAt: 50,
        outcome: "completed",
        worker: "w1",
        message: null,
      },
    ]);
  });

  test("that has not ended is open", () => {
    expect(attemptsOf([20, "job.active"])).toMatchObject([{ waitingFrom: null, startedAt: 20, endedAt: null, outcome: "open" }]);
  });

  test("that fails for good says why", () => {
    const attempts = attemptsOf([20, "job.active"], [30, "job.failed", { error: { message: "no space" } }]);

    expect(attempts).toMatchObject([{ outcome: "failed", endedAt: 30, message: "no space" }]);
  });

  test("may end before it has begun", () => {
    const attempts = attemptsOf([10, "job.waiting"], [30, "job.cancelled", { error: { message: "the flow was cancelled" } }]);

    expect(attempts).toMatchObject([{ waitingFrom: 10, startedAt: null, endedAt: 30, outcome: "cancelled" }]);
  });

  test("has the number that the log gives it", () => {
    expect(attemptsOf([20, "job.active", { attempt: 3 }])).toMatchObject([{ number: 3 }]);
  });
});

describe("after an attempt that failed", () => {
  test("the next is put off, waits and runs", () => {
    const attempts = attemptsOf(
      [20, "job.active", { attempt: 1 }],
      [30, "job.retrying", { status: "delayed", error: { message: "no route" } }],
      [130, "job.waiting", { status: "waiting" }],
      [140, "job.active", { attempt: 2 }],
      [150, "job.completed"],
    );

    expect(attempts).toMatchObject([
      { number: 1, startedAt: 20, endedAt: 30, outcome: "failed", message: "no route" },
      { number: 2, delayedFrom: 30, waitingFrom: 130, startedAt: 140, endedAt: 150, outcome: "completed", message: null },
    ]);
  });

  test("the next waits at once when it is not put off", () => {
    const attempts = attemptsOf([20, "job.active"], [30, "job.retrying", { status: "prioritized" }]);

    expect(attempts).toMatchObject([
      { number: 1, outcome: "failed" },
      { number: 2, delayedFrom: null, waitingFrom: 30, outcome: "open" },
    ]);
  });
});

describe("an attempt that is put back", () => {
  test("because its worker was lost is made again under the same number", () => {
    const attempts = attemptsOf(
      [20, "job.active", { attempt: 2 }],
      [60, "job.waiting", { status: "waiting" }],
      [70, "job.active", { attempt: 2 }],
    );

    expect(attempts).toMatchObject([
      { number: 2, startedAt: 20, endedAt: 60, outcome: "interrupted" },
      { number: 2, waitingFrom: 60, startedAt: 70, outcome: "open" },
    ]);
  });

  test("because it waited for a child that it has added ran until it added it", () => {
    const attempts = attemptsOf(
      [20, "job.active"],
      [35, "job.waiting", { status: "waiting", parentId: "job" }, "job/grown"],
      [60, "job.waiting", { status: "waiting" }],
      [70, "job.active"],
    );

    expect(attempts).toMatchObject([
      { number: 1, startedAt: 20, endedAt: 35, outcome: "interrupted" },
      { number: 1, waitingFrom: 60, startedAt: 70, outcome: "open" },
    ]);
  });

  test("long after it grew in an earlier attempt ran to the end", () => {
    const attempts = attemptsOf(
      [20, "job.active"],
      [35, "job.waiting", { parentId: "job" }, "job/grown"],
      [60, "job.waiting"],
      [70, "job.active"],
      [90, "job.waiting"],
    );

    expect(attempts.map(({ endedAt }) => endedAt)).toEqual([35, 90, null]);
  });

  test("without a word is over when the next begins", () => {
    expect(attemptsOf([20, "job.active"], [50, "job.active"])).toMatchObject([
      { startedAt: 20, endedAt: 50, outcome: "interrupted" },
      { startedAt: 50, endedAt: null, outcome: "open" },
    ]);
  });
});

describe("a new run", () => {
  test("begins with its first attempt, after all of the run before", () => {
    const attempts = attemptsOf(
      [20, "job.active", { attempt: 1 }],
      [30, "job.failed"],
      [100, "job.waiting", { status: "waiting", run: 2 }],
      [110, "job.active", { attempt: 1 }],
    );

    expect(attempts).toMatchObject([
      { run: 1, number: 1, outcome: "failed" },
      { run: 2, number: 1, waitingFrom: 100, startedAt: 110 },
    ]);
  });

  test("may be put off, or wait for children, of which the log tells nothing more", () => {
    expect(attemptsOf([100, "job.delayed", { status: "delayed", run: 2 }])).toMatchObject([
      { run: 2, delayedFrom: 100, waitingFrom: null },
    ]);
    expect(attemptsOf([100, "job.waiting", { status: "waiting-children", run: 2 }])).toMatchObject([
      { run: 2, delayedFrom: null, waitingFrom: null },
    ]);
  });

  test("takes the place of an attempt that has not begun, and interrupts one that runs", () => {
    expect(attemptsOf([10, "job.waiting"], [100, "job.waiting", { run: 2 }])).toMatchObject([{ run: 2 }]);
    expect(attemptsOf([10, "job.active"], [100, "job.waiting", { run: 2 }])).toMatchObject([
      { run: 1, endedAt: 100, outcome: "interrupted" },
      { run: 2, outcome: "open" },
    ]);
  });
});

test("jobs are kept apart, and entries of the flow belong to none", () => {
  const book = told([10, "flow.created", {}, ""], [20, "job.active", {}, "a"], [30, "job.active", {}, "b"], [40, "job.completed", {}, "a"]);

  expect([...book.attempts].map(([id, [attempt]]) => [id, attempt?.outcome])).toEqual([
    ["a", "completed"],
    ["b", "open"],
  ]);
});

function attemptsOf(...entries: Told[]): readonly Attempt[] {
  return told(...entries).attempts.get("job") ?? [];
}

function told(...entries: Told[]): AttemptBook {
  const book = new AttemptBook();
  entries.forEach(([ms, event, data = {}, id = "job"], place) => book.take(anEntry(place + 1, event, id || null, data, ms)));
  return book;
}

import { describe, expect, test } from "vitest";
import { JOB_STATUSES, type FlowEvent } from "../src/api/types";
import { Jobs, type BoardJob, type OutlinedJob } from "../src/board/jobs";
import { anEntry } from "./support/events";
import { aTree, outlined, ran } from "./support/trees";

describe("an outline", () => {
  test("becomes a tree, with its children in their order", () => {
    const jobs = aTree("film", "film/b", "film/a", "film/b/deep");

    expect(jobs.root?.id).toBe("film");
    expect(jobs.root?.children).toEqual(["film/b", "film/a"]);
    expect([...jobs.byId.values()].map(({ depth }) => depth)).toEqual([0, 1, 1, 2]);
  });

  test("has its instants as numbers", () => {
    expect(new Jobs([ran("film", 20, 50, { createdAt: new Date(10).toISOString() })]).root).toMatchObject({
      createdAt: 10,
      startedAt: 20,
      finishedAt: 50,
    });
  });

  test("knows the way to each job, the root first", () => {
    const jobs = aTree("film", "film/b", "film/b/deep");

    expect(jobs.above("film/b/deep").map(({ id }) => id)).toEqual(["film", "film/b"]);
    expect([jobs.above("film"), jobs.above("nowhere")]).toEqual([[], []]);
  });

  test("that is empty has no jobs in any state", () => {
    expect(new Jobs([]).counts).toEqual(JOB_STATUSES.map(() => 0));
  });
});

describe("an entry of the log", () => {
  test("that a job runs names its worker and its start, and clears what an earlier attempt has left", () => {
    const job = folded(ran("film", 1, 2), ["job.active", { status: "active", worker: "w1" }]);

    expect(job).toMatchObject({ status: "active", startedAt: 1_001, finishedAt: null, worker: "w1", progress: null });
  });

  test("that a job has completed ends an attempt, and forgets why the one before had failed", () => {
    const job = folded(
      outlined("film"),
      ["job.active", { status: "active" }],
      ["job.retrying", { status: "delayed", error: { message: "no route" } }],
      ["job.active", { status: "active" }],
      ["job.completed", { status: "completed" }],
    );

    expect(job).toMatchObject({ status: "completed", attemptsMade: 2, startedAt: 1_003, finishedAt: 1_004, message: null });
  });

  test("that a job tries again counts the attempt, keeps why it failed, and puts it back", () => {
    const job = folded(
      outlined("film"),
      ["job.active", { status: "active" }],
      ["job.retrying", { status: "delayed", error: { message: "no route" } }],
    );

    expect(job).toMatchObject({ status: "delayed", attemptsMade: 1, message: "no route", finishedAt: null });
  });

  test("that a job has failed counts the attempt, if there was one", () => {
    const failure = ["job.failed", { status: "failed", error: { message: "no space" } }] as const;

    const hasRun = folded(outlined("film"), ["job.active", { status: "active" }], failure);
    const hasNot = folded(outlined("film", { status: "waiting-children" }), failure);

    expect(hasRun).toMatchObject({ status: "failed", attemptsMade: 1, message: "no space", finishedAt: 1_002 });
    expect(hasNot).toMatchObject({ status: "failed", attemptsMade: 0, message: "no space", finishedAt: 1_001 });
  });

  test("that a job was cancelled is no attempt, whether it runs or waits for its next", () => {
    const cancelled = ["job.cancelled", { status: "cancelled", error: { message: "the flow was cancelled" } }] as const;

    const whileRunning = folded(outlined("film"), ["job.active", { status: "active" }], cancelled);
    const between = folded(outlined("film"), ["job.active", { status: "active" }], ["job.retrying", { status: "delayed" }], cancelled);

    expect(whileRunning).toMatchObject({ status: "cancelled", attemptsMade: 0, message: "the flow was cancelled" });
    expect(between).toMatchObject({ status: "cancelled", attemptsMade: 1, finishedAt: 1_003 });
  });

  test("of a new run begins the job anew", () => {
    const job = folded(
      outlined("film"),
      ["job.active", { status: "active" }],
      ["job.failed", { status: "failed", error: { message: "no space" } }],
      ["job.waiting", { status: "prioritized", run: 2 }],
    );

    expect(job).toMatchObject({ status: "prioritized", run: 2, attemptsMade: 0, startedAt: null, finishedAt: null, message: null });
  });

  test("that a job is in its queue again leaves its run and its attempts", () => {
    const job = folded(outlined("film", { status: "delayed", attemptsMade: 1, run: 3 }), ["job.waiting", { status: "waiting" }]);

    expect(job).toMatchObject({ status: "waiting", attemptsMade: 1, run: 3 });
  });

  test("about the flow is not for the jobs", () => {
    expect(aTree("film").fold(anEntry(1, "flow.dispatched"))).toBe(false);
  });

  test("about an unknown job that nobody has added changes nothing", () => {
    const jobs = aTree("film");

    expect(jobs.fold(anEntry(1, "job.active", "elsewhere", { status: "active" }))).toBe(true);

    expect([...jobs.byId.keys()]).toEqual(["film"]);
  });
});

describe("a flow that grows", () => {
  test("has the new job as the last child of the one that added it", () => {
    const jobs = aTree("film", "film/a");
    const data = { status: "delayed", parentId: "film", name: "extra", queueName: "more" };

    jobs.fold(anEntry(7, "job.delayed", "film/extra", data));

    expect(jobs.root?.children).toEqual(["film/a", "film/extra"]);
    expect(jobs.get("film/extra")).toMatchObject({ name: "extra", queueName: "more", status: "delayed", depth: 1, createdAt: 7, run: 1 });
    expect(jobs.rootId).toBe("film");
  });

  test("does not add a job twice", () => {
    const jobs = aTree("film");
    const data = { status: "waiting", parentId: "film", name: "extra", queueName: "more" };

    jobs.fold(anEntry(7, "job.waiting", "film/extra", data));
    jobs.fold(anEntry(7, "job.waiting", "film/extra", data));

    expect(jobs.root?.children).toEqual(["film/extra"]);
  });
});

/** The job after these entries, at 1,001 ms, 1,002 ms and so on. */
function folded(job: OutlinedJob, ...told: (readonly [FlowEvent["event"], object])[]): BoardJob | undefined {
  const jobs = new Jobs([job]);
  told.forEach(([event, data], place) => jobs.fold(anEntry(place + 1, event, job.id, data, 1_001 + place)));
  return jobs.root;
}

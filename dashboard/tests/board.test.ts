import { describe, expect, test, vi } from "vitest";
import type { FlowListener } from "../src/api/live";
import type { Flow } from "../src/api/types";
import { Board } from "../src/board/board";
import type { OutlinedJob } from "../src/board/jobs";
import { eachTest } from "./support/eachTest";
import { anEntry } from "./support/events";
import { aFlow } from "./support/flows";
import type { Frames } from "./support/frames";
import { settled, type Service } from "./support/service";
import { outlined } from "./support/trees";

const line = vi.hoisted(() => ({ follows: [] as { after: number; listener: FlowListener }[] }));
vi.mock("../src/api/live", () => ({
  live: {
    follow: (_: string, after: number, listener: FlowListener) => {
      const follow = { after, listener };
      line.follows.push(follow);
      return () => line.follows.splice(line.follows.indexOf(follow), 1);
    },
  },
}));

let service: Service;
let frames: Frames;

eachTest((itsService, itsFrames) => {
  service = itsService;
  frames = itsFrames;
  line.follows = [];
});

describe("a board", () => {
  test("reads the outline, and follows the log from its last entry on", async () => {
    const board = new Board("a/b");
    board.open();
    expect(service.next.path).toBe("/flows/a%2Fb/outline");
    expect(line.follows).toEqual([]);

    await outlinedAt(7);

    expect(board.flow?.lastSeq).toBe(7);
    expect(board.jobs.root?.id).toBe("film");
    expect(line.follows.map(({ after }) => after)).toEqual([7]);
  });

  test("takes each entry once, and tells of it", async () => {
    const board = await aBoard(7);
    const heard: number[] = [];
    board.onEvent.add(({ seq }) => heard.push(seq));

    for (const seq of [6, 7, 8, 8, 9, 8]) say(seq, "job.active");

    expect(heard).toEqual([8, 9]);
    expect([board.lastSeq, board.flow?.lastSeq, board.jobs.root?.status, board.flow?.status]).toEqual([9, 9, "active", "active"]);
  });

  test("reads everything again instead of jumping over an entry", async () => {
    const board = await aBoard(7);

    say(9, "job.completed");

    expect([board.lastSeq, board.jobs.root?.status]).toEqual([7, "waiting"]);
    await outlinedAt(9, [outlined("film", { status: "completed" })]);
    expect([board.lastSeq, board.jobs.root?.status]).toEqual([9, "completed"]);
    expect(line.follows).toHaveLength(1);
  });

  test("does not take an outline that is older than what is shown, and asks again after a second", async () => {
    const board = await aBoard(7);
    void board.read();
    say(8, "job.active");

    await outlinedAt(7);
    expect([board.lastSeq, board.jobs.root?.status]).toEqual([8, "active"]);
    expect(service.open).toEqual([]);
    vi.advanceTimersByTime(1_000);

    expect(service.open).toHaveLength(1);
  });

  test("asks once more when it was to be read while a question was under way", async () => {
    const board = new Board("flow");
    board.open();
    void board.read();
    void board.read();
    expect(service.open).toHaveLength(1);

    await outlinedAt(1);
    expect(service.open).toHaveLength(1);
    await outlinedAt(1);

    expect(service.open).toEqual([]);
  });

  test("shows many changes in one frame", async () => {
    const board = await aBoard(7);
    const { version } = board;
    let times = 0;
    board.watch(() => (times += 1));

    for (let seq = 8; seq < 30; seq += 1) say(seq, "job.active");
    frames.draw();

    expect([times, board.version]).toEqual([1, version + 1]);
  });
});

describe("a flow", () => {
  test("that ends is shown so at once, and is asked for its result", async () => {
    const board = await aBoard(7);

    sayOfFlow(8, "flow.completed");

    expect(board.flow).toMatchObject({ status: "completed", finishedAt: new Date(8).toISOString() });
    expect(board.flow?.result).toBeUndefined();
    await outlinedAt(8, [outlined("film")], { status: "completed", result: null });
    expect(board.flow?.result).toBeNull();
  });

  test.each(["flow.retried", "flow.recovered"] as const)("%s waits again, and its jobs are read again", async (event) => {
    const board = await aBoard(7);
    sayOfFlow(8, "flow.failed");
    await outlinedAt(8, [outlined("film")], { status: "failed" });

    sayOfFlow(9, event);

    expect(board.flow).toMatchObject({ status: "waiting", finishedAt: null, error: null });
    expect(service.open).toHaveLength(1);
  });

  test("that is not there, or no longer, is a problem and nothing else", async () => {
    const board = await aBoard(7);

    line.follows[0]?.listener.failed?.("not-found", "no such flow");
    service.next.reply({ title: "Not found", detail: "no such flow" }, 404);
    await settled();
    vi.advanceTimersByTime(60_000);

    expect(board.flow).toBeNull();
    expect(board.problem?.status).toBe(404);
    expect(service.open).toEqual([]);
  });

  test("of which the service does not tell stays as it was shown, and is asked for again", async () => {
    const board = await aBoard(7);
    void board.read();
    service.next.lose();
    await settled();

    expect(board.flow?.lastSeq).toBe(7);
    expect(board.problem?.status).toBe(0);
    vi.advanceTimersByTime(1_000);
    await outlinedAt(7);

    expect(board.problem).toBeNull();
  });
});

describe("progress", () => {
  test("is shown of jobs that have not ended", async () => {
    const board = await aBoard(7, [outlined("film", { status: "active" }), outlined("film/done", { status: "completed" })]);

    for (const id of ["film", "film/done", "elsewhere"]) line.follows[0]?.listener.progress?.(id, 50);

    expect([board.jobs.get("film")?.progress, board.jobs.get("film/done")?.progress]).toEqual([50, null]);
  });

  test("outlives a new reading while the job runs", async () => {
    const jobs = [outlined("film", { status: "active" }), outlined("film/other", { status: "active" })];
    const board = await aBoard(7, jobs);
    for (const { id } of jobs) line.follows[0]?.listener.progress?.(id, 50);

    void board.read();
    await outlinedAt(8, [jobs[0]!, { ...jobs[1]!, status: "waiting" }]);

    expect([board.jobs.get("film")?.progress, board.jobs.get("film/other")?.progress]).toEqual([50, null]);
  });
});

describe("a board that was closed", () => {
  test("follows nothing, draws nothing and asks nothing", async () => {
    const board = await aBoard(7);
    void board.read();
    say(8, "job.active");

    board.close();
    service.next.lose();
    await settled();
    vi.advanceTimersByTime(60_000);

    expect([line.follows.length, service.open.length]).toEqual([0, 0]);
  });

  test("does not ask again for what it had not got", async () => {
    const board = await aBoard(7);
    void board.read();
    service.next.lose();
    await settled();

    board.close();
    vi.advanceTimersByTime(60_000);

    expect(service.open).toEqual([]);
  });

  test("does not begin to follow with an answer that comes too late", async () => {
    const board = new Board("flow");
    board.open();
    board.close();

    await outlinedAt(7);

    expect(line.follows).toEqual([]);
    expect(board.flow).toBeNull();
  });

  test("is read anew when it is opened again, and followed from there", async () => {
    const board = await aBoard(7);
    board.close();

    board.open();
    await outlinedAt(20);

    expect(line.follows.map(({ after }) => after)).toEqual([20]);
  });
});

async function aBoard(lastSeq: number, jobs?: OutlinedJob[]): Promise<Board> {
  const board = new Board("flow");
  board.open();
  await outlinedAt(lastSeq, jobs);
  frames.draw();
  return board;
}

/** The outline that was asked for is here. */
async function outlinedAt(lastSeq: number, jobs = [outlined("film")], flow: Partial<Flow> = {}): Promise<void> {
  service.next.reply({ flow: aFlow(1, { lastSeq, ...flow }), items: jobs });
  await settled();
}

function say(seq: number, event: "job.active" | "job.completed"): void {
  line.follows[0]?.listener.event(anEntry(seq, event, "film", { status: event.slice("job.".length) }));
}

function sayOfFlow(seq: number, event: "flow.completed" | "flow.failed" | "flow.retried" | "flow.recovered"): void {
  line.follows[0]?.listener.event(anEntry(seq, event));
}

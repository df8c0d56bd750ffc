/** What is heard over the line, and by whom. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FlowListener, Live } from "../src/api/live";
import { anEntry } from "./support/events";
import { aFlow } from "./support/flows";
import { aPage, socket } from "./support/line";

let live: Live;

beforeEach(async () => {
  ({ live } = await aPage());
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("one flow", () => {
  test("is followed from an entry on, once the line is open", () => {
    live.follow("one", 7, aListener());
    expect(socket().sent).toEqual([]);

    socket().answer();
    live.follow("two", 9, aListener());

    expect(socket().sent).toEqual([
      { action: "subscribe", flowId: "one", after: 7 },
      { action: "subscribe", flowId: "two", after: 9 },
    ]);
  });

  test("is heard by those who follow it and by nobody else", () => {
    const [one, two] = [aListener(), aListener()];
    live.follow("one", 0, one);
    live.follow("two", 0, two);
    socket().answer();

    socket().say({ type: "subscribed", flowId: "one", lastSeq: 3 });
    sayEntry("one", 1);
    socket().say({ type: "progress", flowId: "one", id: "job", progress: { percent: 5 } });
    socket().say({ type: "log", flowId: "one", id: "job", n: 1, run: 1, at: "", line: "hello" });

    expect(one.subscribed).toHaveBeenCalledWith(3);
    expect(one.event).toHaveBeenCalledWith(expect.objectContaining({ seq: 1 }));
    expect(one.progress).toHaveBeenCalledWith("job", { percent: 5 });
    expect(one.line).toHaveBeenCalledWith(expect.objectContaining({ line: "hello" }));
    for (const heard of [two.subscribed, two.event, two.progress, two.line]) expect(heard).not.toHaveBeenCalled();
  });

  test("is asked for again from further back when somebody joins who has heard less", () => {
    live.follow("one", 7, aListener());
    socket().answer();

    live.follow("one", 3, aListener());
    live.follow("one", 9, aListener());

    expect(socket().sent.map(({ after }) => after)).toEqual([7, 3, 3]);
  });

  test("is followed until the last listener has gone", () => {
    const first = aListener();
    const stopFirst = live.follow("one", 0, first);
    const stopSecond = live.follow("one", 0, aListener());
    socket().answer();
    const before = socket().sent.length;

    stopFirst();
    sayEntry("one", 1);
    expect(socket().sent).toHaveLength(before);
    stopSecond();
    stopSecond();

    expect(first.event).not.toHaveBeenCalled();
    expect(socket().sent.slice(before)).toEqual([{ action: "unsubscribe", flowId: "one" }]);
  });

  test("that somebody follows anew is not lost when an old listener stops once more", () => {
    const stop = live.follow("one", 0, aListener());
    stop();
    const again = aListener();
    live.follow("one", 0, again);
    socket().answer();

    stop();
    sayEntry("one", 1);

    expect(again.event).toHaveBeenCalledOnce();
  });

  test("that is not there is told of, and not asked for again", () => {
    const listener = aListener();
    live.follow("one", 0, listener);
    socket().answer();

    socket().say({ type: "error", code: "not-found", detail: "no such flow", flowId: "one" });
    vi.advanceTimersByTime(10_000);

    expect(listener.failed).toHaveBeenCalledWith("not-found", "no such flow");
    expect(subscriptions()).toBe(1);
  });

  test("that cannot be followed for now is asked for again after four seconds, if it is still wanted", () => {
    live.follow("one", 0, aListener());
    const stop = live.follow("two", 0, aListener());
    socket().answer();
    for (const flowId of ["one", "two"]) socket().say({ type: "error", code: "away", detail: "the store is away", flowId });
    stop();

    vi.advanceTimersByTime(3_999);
    expect(subscriptions()).toBe(2);
    vi.advanceTimersByTime(1);

    expect(subscriptions()).toBe(3);
    expect(socket().sent.at(-1)).toMatchObject({ flowId: "one" });
  });
});

describe("all flows", () => {
  test("are asked for once, however many listen, and left with the last of them", () => {
    socket().answer();

    const stops = [live.followAll(everything()), live.followAll(everything())];
    for (const stop of stops) stop();

    expect(socket().sent).toEqual([{ action: "subscribe" }, { action: "unsubscribe" }]);
  });

  test("are heard, and it is said when something may have been missed", () => {
    const listener = everything();
    live.followAll(listener);
    socket().answer();
    expect(listener.missed).not.toHaveBeenCalled();

    socket().say({ type: "subscribed", flowId: null, lastSeq: null });
    socket().say({ type: "flow", flow: aFlow(3) });

    expect(listener.missed).toHaveBeenCalledOnce();
    expect(listener.flow).toHaveBeenCalledWith(aFlow(3));
  });
});

function aListener() {
  return {
    subscribed: vi.fn(),
    event: vi.fn(),
    progress: vi.fn(),
    line: vi.fn(),
    failed: vi.fn(),
  } satisfies FlowListener;
}

function everything() {
  return { flow: vi.fn(), missed: vi.fn() };
}

function sayEntry(flowId: string, seq: number): void {
  socket().say({ type: "event", ...anEntry(seq, "job.active", "job"), flowId });
}

function subscriptions(): number {
  return socket().sent.filter(({ action }) => action === "subscribe").length;
}

import { expect, test, vi } from "vitest";
import type { AllListener } from "../src/api/live";
import { NO_FILTERS, type Filters } from "../src/pages/flows/filters";
import { FlowList } from "../src/pages/flows/flowList";
import { eachTest } from "./support/eachTest";
import { aFlow, aPage, flowsDown } from "./support/flows";
import type { Frames } from "./support/frames";
import { settled, type Service } from "./support/service";

const line = vi.hoisted(() => ({ listener: null as AllListener | null }));
vi.mock("../src/api/live", () => ({
  live: {
    followAll: (listener: AllListener) => {
      line.listener = listener;
      return () => (line.listener = null);
    },
  },
}));

let service: Service;
let frames: Frames;

eachTest((itsService, itsFrames) => {
  service = itsService;
  frames = itsFrames;
});

test("a list asks for its first page, with its filters, and shows it", async () => {
  const list = opened({ ...NO_FILTERS, status: "failed", tag: "a b" });

  expect(service.next).toMatchObject({ path: "/flows", query: { status: "failed", tag: "a b", limit: "50" } });
  await answered(aPage([aFlow(1, { status: "failed", tags: ["a b"] })]));

  expect(shownIn(list)).toEqual([1]);
});

test("a list that may have missed something asks again, and once more when a question was under way", async () => {
  opened();
  line.listener?.missed();
  line.listener?.missed();
  expect(service.asked).toHaveLength(1);

  await answered(aPage([]));
  expect(service.asked).toHaveLength(2);
  await answered(aPage([]));
  expect(service.asked).toHaveLength(2);
});

test("what was heard while the page was under way is not undone by it", async () => {
  const list = opened({ ...NO_FILTERS, status: "waiting" });

  line.listener?.flow(aFlow(1, { lastSeq: 2, status: "active" }));
  await answered(aPage([aFlow(2), aFlow(1)]));

  expect(shownIn(list)).toEqual([2]);
});

test("a service that does not answer is asked again after two seconds", async () => {
  const list = opened();
  service.next.lose();
  await settled();
  frames.draw();
  expect(list.error).toMatchObject({ status: 0 });

  vi.advanceTimersByTime(1_999);
  expect(service.open).toHaveLength(0);
  vi.advanceTimersByTime(1);
  await answered(aPage([aFlow(1)]));

  expect(list.error).toBeNull();
  expect(shownIn(list)).toEqual([1]);
});

test("what was refused is not asked again by itself", async () => {
  opened();
  await answered({ title: "Bad request", detail: "no such status" }, 422);

  vi.advanceTimersByTime(60_000);

  expect(service.open).toHaveLength(0);
});

test("the next page is asked for once, by its cursor", async () => {
  const list = opened();
  await answered(aPage(flowsDown(9, 8), "second"));

  void list.readMore();
  void list.readMore();
  expect(service.open.map(({ query }) => query.cursor)).toEqual(["second"]);
  await answered(aPage(flowsDown(7, 6)));
  expect(shownIn(list)).toEqual([9, 8, 7, 6]);

  void list.readMore();
  expect(service.open).toHaveLength(0);
});

test("after a cut the list goes on from its last flow, and takes others of the same millisecond with it", async () => {
  const list = await aLongList();
  cut();

  void list.readMore();

  expect(service.next.query).toMatchObject({ createdBefore: new Date(502 * 1_000 + 1).toISOString() });
  expect(service.next.query.cursor).toBeUndefined();
});

test("a page that was asked for before a cut is left: it would not join on", async () => {
  const list = await aLongList("older");
  void list.readMore();
  cut();

  await answered(aPage(flowsDown(0, 0)));

  expect(shownIn(list)).toEqual(flowsDown(1_001, 502).map(({ id }) => Number(id)));
  expect(list.hasMore).toBe(true);
});

test("a page that was asked for before the list began anew is left as well", async () => {
  const list = opened();
  await answered(aPage(flowsDown(9, 8), "older"));
  void list.readMore();
  const older = service.next;
  line.listener?.missed();
  service.open[1]?.reply(aPage(flowsDown(99, 98), "between"));
  await settled();

  older.reply(aPage(flowsDown(7, 6), "oldest"));
  await settled();
  frames.draw();

  expect(shownIn(list)).toEqual([99, 98]);
  void list.readMore();
  expect(service.next.query.cursor).toBe("between");
});

test("a held list with more waiting than it keeps shows what it has until the new first page is here", async () => {
  const list = opened();
  await answered(aPage([aFlow(1)]));
  list.hold(true);
  for (let number = 2; number <= 600; number += 1) line.listener?.flow(aFlow(number));
  frames.draw();
  expect([list.waitingCount, list.hasOverflown]).toEqual([500, true]);

  list.hold(false);
  frames.draw();
  expect(shownIn(list)).toEqual([1]);
  await answered(aPage(flowsDown(600, 551), "second"));

  expect(shownIn(list)).toEqual(flowsDown(600, 551).map(({ id }) => Number(id)));
  expect([list.waitingCount, list.hasOverflown]).toEqual([0, false]);
});

test("a page that was asked for before such a list was asked for anew is not for the new one", async () => {
  const list = opened();
  await answered(aPage([aFlow(1)], "older"));
  list.hold(true);
  void list.readMore();
  for (let number = 2; number <= 600; number += 1) line.listener?.flow(aFlow(number));
  list.hold(false);

  await answered(aPage([aFlow(0)]));
  await answered(aPage(flowsDown(600, 551), "second"));

  expect(shownIn(list)).not.toContain(0);
});

test("many changes are shown in one frame", async () => {
  const list = opened();
  await answered(aPage([]));
  const { version } = list;

  for (let number = 1; number <= 20; number += 1) line.listener?.flow(aFlow(number));
  expect(frames.count).toBe(1);
  frames.draw();

  expect(list.version).toBe(version + 1);
  expect(list.shown).toHaveLength(20);
});

test("a closed list hears nothing, draws nothing and asks nothing any more", async () => {
  const list = opened();
  service.next.lose();
  await settled();

  list.close();
  vi.advanceTimersByTime(60_000);

  expect(line.listener).toBeNull();
  expect([frames.count, service.open.length]).toEqual([0, 0]);
});

function opened(filters: Filters = NO_FILTERS): FlowList {
  const list = new FlowList(filters);
  list.open();
  return list;
}

async function answered(body: unknown, status = 200): Promise<void> {
  service.next.reply(body, status);
  await settled();
  frames.draw();
}

async function aLongList(next: string | null = null): Promise<FlowList> {
  const list = opened();
  await answered(aPage(flowsDown(1_000, 1), next));
  return list;
}

function cut(): void {
  line.listener?.flow(aFlow(1_001));
  frames.draw();
}

function shownIn(list: FlowList): number[] {
  return list.shown.map(({ flow }) => Number(flow.id));
}

import { describe, expect, test } from "vitest";
import type { Flow } from "../src/api/types";
import { NO_FILTERS } from "../src/pages/flows/filters";
import { Rows } from "../src/pages/flows/rows";
import { aFlow, aPage, idOf } from "./support/flows";

const WAITING_ONLY = { ...NO_FILTERS, status: "waiting" } as const;

describe("a list that lives", () => {
  test("shows the newest flow first, whatever the order of the page", () => {
    const rows = readRows([aFlow(2), aFlow(3), aFlow(1)]);

    expect(shownIn(rows)).toEqual([3, 2, 1]);
  });

  test("lets new flows in", () => {
    const rows = readRows([aFlow(2), aFlow(1)]);

    hear(rows, aFlow(3));

    expect(shownIn(rows)).toEqual([3, 2, 1]);
  });

  test("lets go of what matches no more", () => {
    const rows = readRows([aFlow(2), aFlow(1)], { filters: WAITING_ONLY });

    hear(rows, aFlow(2, { lastSeq: 2, status: "active" }));

    expect(shownIn(rows)).toEqual([1]);
  });

  test("does not let in what never matched", () => {
    const rows = readRows([aFlow(1)], { filters: WAITING_ONLY });

    hear(rows, aFlow(2, { status: "failed" }));

    expect(shownIn(rows)).toEqual([1]);
  });

  test("leaves a flow that is older than what was read to its page", () => {
    const rows = readRows([aFlow(9), aFlow(8)], { next: "more" });

    hear(rows, aFlow(3, { lastSeq: 7 }));

    expect(shownIn(rows)).toEqual([9, 8]);
  });

  test("lets an older flow in when there is no page that would bring it", () => {
    const rows = readRows([aFlow(9), aFlow(8)]);

    hear(rows, aFlow(3));

    expect(shownIn(rows)).toEqual([9, 8, 3]);
  });
});

describe("of two summaries of a flow", () => {
  test("an older one never takes the place of a newer one", () => {
    const rows = readRows([aFlow(1, { lastSeq: 5, status: "active" })]);

    hear(rows, aFlow(1, { lastSeq: 4, status: "waiting", updatedAt: "2099-01-01T00:00:00.000Z" }));

    expect(rows.shown[0]?.flow).toMatchObject({ lastSeq: 5, status: "active" });
  });

  test("an older page does not either", () => {
    const rows = readRows([aFlow(1, { lastSeq: 5, status: "active" })]);

    rows.takeFirst(aPage([aFlow(1, { lastSeq: 4 })]));

    expect(rows.shown[0]?.flow).toMatchObject({ lastSeq: 5, status: "active" });
  });

  test("with the same last entry the one of a later time is kept", () => {
    const rows = readRows([aFlow(1, { updatedAt: "2030-01-01T00:00:01.000Z", name: "before" })]);

    hear(rows, aFlow(1, { updatedAt: "2030-01-01T00:00:02.000Z", name: "after" }));
    hear(rows, aFlow(1, { updatedAt: "2030-01-01T00:00:01.500Z", name: "between" }));

    expect(rows.shown[0]?.flow.name).toBe("after");
  });
});

describe("a list that is held", () => {
  test("lets nothing in, and counts what waits", () => {
    const rows = heldRows([aFlow(1)]);

    hear(rows, aFlow(2));
    hear(rows, aFlow(3));
    hear(rows, aFlow(3, { lastSeq: 2 }));

    expect(shownIn(rows)).toEqual([1]);
    expect(rows.waitingCount).toBe(2);
  });

  test("shows what becomes of its flows, and marks what matches no more, in its place", () => {
    const rows = heldRows([aFlow(2), aFlow(1)], { filters: WAITING_ONLY });

    hear(rows, aFlow(2, { lastSeq: 2, status: "completed" }));

    expect(rows.shown.map(({ flow, matches }) => [flow.id, flow.status, matches])).toEqual([
      [idOf(2), "completed", false],
      [idOf(1), "waiting", true],
    ]);
  });

  test("forgets a waiting flow that matches no more", () => {
    const rows = heldRows([aFlow(1)], { filters: WAITING_ONLY });

    hear(rows, aFlow(2));
    hear(rows, aFlow(2, { lastSeq: 2, status: "active" }));
    rows.hold(false);

    expect(rows.waitingCount).toBe(0);
    expect(shownIn(rows)).toEqual([1]);
  });

  test("keeps a waiting flow when only an older summary of it does not match", () => {
    const rows = heldRows([aFlow(1)], { filters: WAITING_ONLY });

    hear(rows, aFlow(2, { lastSeq: 9, status: "waiting" }));
    hear(rows, aFlow(2, { lastSeq: 8, status: "failed" }));

    expect(rows.waitingCount).toBe(1);
  });

  test("lets in what has waited, and lets go of what matches no more, once it lives again", () => {
    const rows = heldRows([aFlow(2), aFlow(1)], { filters: WAITING_ONLY });
    hear(rows, aFlow(3));
    hear(rows, aFlow(3, { lastSeq: 2, name: "renewed" }));
    hear(rows, aFlow(1, { lastSeq: 2, status: "active" }));

    rows.hold(false);

    expect(shownIn(rows)).toEqual([3, 2]);
    expect(rows.shown[0]?.flow.name).toBe("renewed");
    expect(rows.waitingCount).toBe(0);
  });

  test("keeps 500 waiting flows, says that there are more, and still hears of those that it keeps", () => {
    const rows = heldRows([aFlow(1)]);

    for (let number = 2; number <= 502; number += 1) hear(rows, aFlow(number));
    hear(rows, aFlow(2, { lastSeq: 2, name: "renewed" }));

    expect(rows.waitingCount).toBe(500);
    expect(rows.hasOverflown).toBe(true);
    rows.hold(false);
    expect(shownIn(rows)).not.toContain(502);
    expect(rows.shown.find(({ flow }) => flow.id === idOf(2))?.flow.name).toBe("renewed");
  });

  test("lets what a new first page brings wait", () => {
    const rows = heldRows([aFlow(2), aFlow(1)]);

    rows.takeFirst(aPage([aFlow(3), aFlow(2), aFlow(1)]));

    expect(shownIn(rows)).toEqual([2, 1]);
    expect(rows.waitingCount).toBe(1);
  });

  test("lets in what somebody has scrolled down to", () => {
    const rows = heldRows([aFlow(9)], { next: "more" });

    rows.takeMore(aPage([aFlow(8), aFlow(7)]));

    expect(shownIn(rows)).toEqual([9, 8, 7]);
  });

  test("stays as it is, and has to be asked for anew, when a new first page does not join on to it", () => {
    const rows = heldRows([aFlow(3), aFlow(2)], { next: "older" });

    rows.takeFirst(aPage([aFlow(9), aFlow(8)], "between"));

    expect(shownIn(rows)).toEqual([3, 2]);
    expect(rows.hasOverflown).toBe(true);
    expect(rows.next).toBe("older");
  });
});

function readRows(flows: Flow[], { next = null as string | null, filters = NO_FILTERS as Rows["filters"] } = {}): Rows {
  const rows = new Rows(filters);
  rows.takeFirst(aPage(flows, next));
  return rows;
}

function heldRows(...of: Parameters<typeof readRows>): Rows {
  const rows = readRows(...of);
  rows.hold(true);
  return rows;
}

function hear(rows: Rows, flow: Flow): void {
  rows.hear(flow);
  rows.arrange();
}

function shownIn(rows: Rows): number[] {
  return rows.shown.map(({ flow }) => Number(flow.id));
}

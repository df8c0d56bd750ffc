import { describe, expect, test } from "vitest";
import type { FlowPage } from "../src/api/types";
import { NO_FILTERS, type Filters } from "../src/pages/flows/filters";
import { Rows } from "../src/pages/flows/rows";
import { aFlow, aPage, flowsDown } from "./support/flows";

describe("pages", () => {
  test("make one list, which knows where it goes on", () => {
    const rows = new Rows(NO_FILTERS);

    rows.takeFirst(aPage(flowsDown(9, 8), "second"));
    expect([rows.hasMore, rows.next]).toEqual([true, "second"]);
    rows.takeMore(aPage(flowsDown(7, 6), "third"));
    expect([rows.hasMore, rows.next]).toEqual([true, "third"]);
    rows.takeMore(aPage(flowsDown(5, 5)));

    expect(shownIn(rows)).toEqual([9, 8, 7, 6, 5]);
    expect([rows.hasMore, rows.next]).toEqual([false, null]);
    expect(rows.last?.id).toBe(aFlow(5).id);
  });

  test("a first page that is read again does not turn the list back to its own end", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage(flowsDown(9, 8), "second"));
    rows.takeMore(aPage(flowsDown(7, 6), "third"));

    rows.takeFirst(aPage(flowsDown(10, 9), "second again"));

    expect(shownIn(rows)).toEqual([10, 9, 8, 7, 6]);
    expect(rows.next).toBe("third");
  });

  test("what lies in the range of a first page that is read again, and is not in it, is gone", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage(flowsDown(9, 5), "second"));

    rows.takeFirst(aPage([aFlow(9), aFlow(7)], "second"));

    expect(shownIn(rows)).toEqual([9, 7, 6, 5]);
  });

  test("what a first page without a second does not name is gone, wherever it was", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage(flowsDown(9, 8), "second"));
    rows.takeMore(aPage(flowsDown(7, 6), "third"));

    rows.takeFirst(aPage([aFlow(8)]));

    expect(shownIn(rows)).toEqual([8]);
  });

  test("what waits outside and is not in a page that is read again is gone as well", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage([aFlow(1)]));
    rows.hold(true);
    rows.hear(aFlow(2));

    rows.takeFirst(aPage([aFlow(1)]));

    expect(rows.waitingCount).toBe(0);
  });

  test("a list that lives begins anew with a first page that does not join on to it", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage(flowsDown(3, 2), "older"));

    rows.takeFirst(aPage(flowsDown(9, 8), "between"));

    expect(shownIn(rows)).toEqual([9, 8]);
    expect([rows.hasMore, rows.next]).toEqual([true, "between"]);
  });
});

describe("what is heard while a page is under way", () => {
  test("does not come back as it was when the page was made", () => {
    const rows = new Rows({ ...NO_FILTERS, status: "waiting" });

    whileUnderWay(rows, () => rows.hear(aFlow(2, { lastSeq: 2, status: "active" })), aPage([aFlow(2), aFlow(1)]));

    expect(shownIn(rows)).toEqual([1]);
  });

  test("counts with its newest summary, in whatever order they came", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage([aFlow(9)], "second"));

    rows.asked();
    rows.hear(aFlow(5, { lastSeq: 3 }));
    rows.hear(aFlow(5, { lastSeq: 2 }));
    rows.takeMore(aPage([aFlow(5, { lastSeq: 1 })]));

    expect(rows.last).toMatchObject({ id: aFlow(5).id, lastSeq: 3 });
  });

  test("is not taken for gone because the page does not know of it yet", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage([aFlow(1)]));

    whileUnderWay(rows, () => rows.hear(aFlow(2)), aPage([aFlow(1)]));

    expect(shownIn(rows)).toEqual([2, 1]);
  });

  test("is forgotten with the answer: the page after that knows better", () => {
    const rows = new Rows(NO_FILTERS);
    rows.takeFirst(aPage([aFlow(1)]));
    whileUnderWay(rows, () => rows.hear(aFlow(2)), aPage([aFlow(1)]));

    whileUnderWay(rows, () => {}, aPage([aFlow(1)]));

    expect(shownIn(rows)).toEqual([1]);
  });

  test("is remembered until the last of two pages is here", () => {
    const rows = new Rows({ ...NO_FILTERS, status: "waiting" });
    rows.takeFirst(aPage([aFlow(9)], "second"));
    rows.asked();
    rows.asked();
    rows.hear(aFlow(5, { lastSeq: 2, status: "active" }));
    rows.answered();

    rows.takeMore(aPage([aFlow(5)]));

    expect(shownIn(rows)).toEqual([9]);
  });
});

describe("a list that has grown too long", () => {
  test("is cut to its newest 500, and knows that there are more, but not from where on", () => {
    const rows = aList(1_000, NO_FILTERS, "more");
    expect(rows.shown).toHaveLength(1_000);

    rows.hear(aFlow(1_001));
    rows.arrange();

    expect(shownIn(rows)).toEqual(flowsDown(1_001, 502).map(({ id }) => Number(id)));
    expect([rows.hasMore, rows.next]).toEqual([true, null]);
  });

  test("is not cut under somebody's eyes", () => {
    const rows = aList(1_000, NO_FILTERS);
    rows.hold(true);

    rows.takeMore(aPage([aFlow(0)], "more"));

    expect(rows.shown).toHaveLength(1_001);
    expect(rows.next).toBe("more");
  });

  test("is cut when it lives again", () => {
    const rows = aList(1_000, NO_FILTERS);
    rows.hold(true);
    rows.takeMore(aPage([aFlow(0)]));

    rows.hold(false);

    expect(rows.shown).toHaveLength(500);
  });

  test("does not grow for ever on a page that is hidden and draws nothing", () => {
    const rows = aList(1, NO_FILTERS);

    for (let number = 2; number <= 2_001; number += 1) rows.hear(aFlow(number));

    expect(rows.shown).toHaveLength(500);
    expect(rows.last?.id).toBe(aFlow(1_502).id);
  });

  test("loses what matches no more before what is old", () => {
    const rows = aList(1_000, { ...NO_FILTERS, status: "waiting" });

    rows.hear(aFlow(1_001));
    rows.hear(aFlow(700, { lastSeq: 2, status: "active" }));
    rows.arrange();

    expect(rows.shown).toHaveLength(1_000);
    expect(shownIn(rows)).not.toContain(700);
  });

  test("says with each cut that pages which were asked for before do not join on", () => {
    const rows = aList(1_000, NO_FILTERS);
    const before = rows.cuts;

    rows.arrange();
    expect(rows.cuts).toBe(before);
    rows.hear(aFlow(1_001));
    rows.arrange();

    expect(rows.cuts).toBe(before + 1);
  });
});

function aList(length: number, filters: Filters, next: string | null = null): Rows {
  const rows = new Rows(filters);
  rows.takeFirst(aPage(flowsDown(length, 1), next));
  return rows;
}

function whileUnderWay(rows: Rows, happen: () => void, page: FlowPage): void {
  rows.asked();
  happen();
  rows.takeFirst(page);
  rows.answered();
}

function shownIn(rows: Rows): number[] {
  return rows.shown.map(({ flow }) => Number(flow.id));
}

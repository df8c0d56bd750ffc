/** The tree as a list, a search in it, and what a row says. */
import { describe, expect, test } from "vitest";
import { Jobs } from "../src/board/jobs";
import { NOTHING_WISHED, openByDefault, withWish } from "../src/pages/flow/graph/folding";
import { countsAmong, countsOf, marksOf, percentOf } from "../src/pages/flow/graph/jobMarks";
import { moveOf, rowsOf } from "../src/pages/flow/graph/rows";
import { changesWith, found, step } from "../src/pages/flow/graph/search";
import { aTree, outlined } from "./support/trees";

const SMALL = aTree("film", "film/a", "film/a/x", "film/a/y", "film/b");

describe("the tree as a list", () => {
  const rows = rowsOf(SMALL, withWish(NOTHING_WISHED, "film/a", false), openByDefault(SMALL));

  test("has the rows whose parents are open, and says where each stands", () => {
    expect(rows).toEqual([
      { id: "film", parentId: null, depth: 0, fold: "open", place: 0, siblings: 1 },
      { id: "film/a", parentId: "film", depth: 1, fold: "folded", place: 0, siblings: 2 },
      { id: "film/b", parentId: "film", depth: 1, fold: "leaf", place: 1, siblings: 2 },
    ]);
  });

  test.each([
    [0, "ArrowDown", { to: 1 }],
    [2, "ArrowDown", { to: 2 }],
    [0, "ArrowUp", { to: 0 }],
    [2, "Home", { to: 0 }],
    [0, "End", { to: 2 }],
    [0, "PageDown", { to: 2 }],
    [2, "PageUp", { to: 0 }],
    [0, "ArrowRight", { to: 1 }],
    [1, "ArrowRight", { toggle: "film/a" }],
    [2, "ArrowRight", null],
    [0, "ArrowLeft", { toggle: "film" }],
    [1, "ArrowLeft", { to: 0 }],
    [2, "ArrowLeft", { to: 0 }],
    [1, "x", null],
    [-1, "ArrowUp", { to: 0 }],
    [-1, "Home", null],
  ])("leads from row %d with %s to %o", (at, key, move) => expect(moveOf(rows, at, key)).toEqual(move));
});

describe("a search", () => {
  const jobs = new Jobs([
    outlined("film", { name: "Watermark" }),
    outlined("film/a", { name: "Download", status: "failed" }),
    outlined("film/b", { name: "download again", status: "waiting-children" }),
  ]);

  test.each([
    ["down", ["film/a", "film/b"]],
    ["  WATER ", ["film"]],
    ["film/b", ["film/b"]],
    ["is:failed", ["film/a"]],
    ["is:wait", ["film", "film/b"]],
    ["is:", []],
    ["", []],
    ["nothing like it", []],
  ])("for %j finds %j", (query, ids) => expect(found(jobs, query)).toEqual(ids));

  test("by state is to be made again when such a job comes or goes, one by name is not", () => {
    expect([changesWith(jobs, "is:failed"), changesWith(jobs, "IS:wait"), changesWith(jobs, "down")]).toEqual([1, 2, 0]);
  });

  test.each([
    [null, 1, "a"],
    [null, -1, "c"],
    ["a", 1, "b"],
    ["c", 1, "a"],
    ["a", -1, "c"],
    ["gone", 1, "a"],
  ] as const)("goes from %s by %d to %s", (from, by, to) => expect(step(["a", "b", "c"], from, by)).toBe(to));

  test("without matches goes nowhere", () => expect(step([], "a", 1)).toBeNull());
});

describe("what a card says of a job", () => {
  const jobs = new Jobs([
    outlined("film"),
    outlined("film/a", { status: "active" }),
    outlined("film/a/x", { status: "failed" }),
    outlined("film/b"),
  ]);

  test("changes with the job, and with what is below it where that is shown", () => {
    const job = jobs.get("film/a")!;
    const [without, withBelow] = [marksOf(job, false), marksOf(job, true)];

    job.below[0]! += 1;
    expect([marksOf(job, false) === without, marksOf(job, true) === withBelow]).toEqual([true, false]);
    job.below[0]! -= 1;
    job.progress = 50;
    expect(marksOf(job, false)).not.toBe(without);
    expect(marksOf(undefined, true)).toBe("");
  });

  test.each([
    [0, 0],
    [100, 100],
    [101, null],
    [-1, null],
    ["50", null],
    [{ percent: 5 }, null],
    [Number.NaN, null],
  ])("progress of %j is %j percent", (progress, percent) => expect(percentOf(progress)).toBe(percent));

  test("has counts by name, and those of siblings with all below them", () => {
    expect(countsOf(jobs.root!.below)).toMatchObject({ active: 1, failed: 1, waiting: 1, completed: 0 });
    expect(countsOf(countsAmong(jobs, ["film/a", "film/b", "gone"]))).toMatchObject({ active: 1, failed: 1, waiting: 1, delayed: 0 });
  });
});

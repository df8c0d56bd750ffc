import { describe, expect, test } from "vitest";
import { Jobs } from "../src/board/jobs";
import { flatRows, levelsAtFirst, spanBelow, treeRows } from "../src/pages/flow/timeline/rows";
import { aFan, aTree, outlined, ran } from "./support/trees";

describe("rows of the timeline in the order of the tree", () => {
  const jobs = aTree("film", "film/a", "film/a/x", "film/b", "film/b/y");

  test("leave out what is folded", () => {
    const rows = treeRows(jobs, ({ id }) => id !== "film/a");

    expect(rows.map(({ job, depth, isOpen }) => [job.id, depth, isOpen])).toEqual([
      ["film", 0, true],
      ["film/a", 1, false],
      ["film/b", 1, true],
      ["film/b/y", 2, null],
    ]);
  });

  test("are none without jobs", () => expect(treeRows(new Jobs([]), () => true)).toEqual([]));

  test("show at first as many levels as fit, and at least two", () => {
    expect(levelsAtFirst(jobs)).toBe(3);
    expect(levelsAtFirst(aFan(500))).toBe(2);
    expect(levelsAtFirst(aTree("film", "film/a", ...Array.from({ length: 200 }, (_, place) => `film/a/${place}`)))).toBe(2);
  });
});

describe("rows of the timeline in another order", () => {
  const jobs = new Jobs([ran("film", 50, 60), ran("film/long", 0, 45), outlined("film/idle"), ran("film/open", 10, null)]);

  test("are all jobs by their start, with those that have none at the end", () => {
    expect(flatRows(jobs.byId.values(), "start", 100).map(({ job }) => job.id)).toEqual(["film/long", "film/open", "film", "film/idle"]);
  });

  test("are all jobs by their length up to now, the longest first", () => {
    expect(flatRows(jobs.byId.values(), "longest", 100).map(({ job }) => job.id)).toEqual(["film/open", "film/long", "film", "film/idle"]);
  });
});

describe("the span of a job and what is below it", () => {
  const jobs = new Jobs([outlined("film"), ran("film/a", 20, 50), ran("film/a/x", 5, 10), ran("film/b", 30, null), outlined("film/c")]);

  test.each([
    ["film", { from: 5, to: 100 }],
    ["film/a", { from: 5, to: 50 }],
    ["film/c", null],
  ])("%s is %o", (id, span) => expect(spanBelow(jobs, jobs.get(id)!, 100)).toEqual(span));
});

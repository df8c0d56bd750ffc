/** What of a flow's tree is shown, and what is folded. */
import { describe, expect, test } from "vitest";
import { Jobs } from "../src/board/jobs";
import { NOTHING_WISHED, openByDefault, stretches, withPageAt, withWayTo, withWish } from "../src/pages/flow/graph/folding";
import { layOut } from "../src/pages/flow/graph/layout";
import { Chance } from "./support/chance";
import { aFan, aTree } from "./support/trees";

const SMALL = aTree("film", "film/a", "film/a/x", "film/a/y", "film/b");

describe("of a flow is shown at first", () => {
  test("everything, when it is small", () => {
    expect([...openByDefault(SMALL)]).toEqual(["film", "film/a"]);
  });

  test("the root and its children, however many they are", () => {
    expect([...openByDefault(aFan(5_000))]).toEqual(["root"]);
  });

  test("as many whole levels as fit", () => {
    const level = (above: string) => Array.from({ length: 6 }, (_, place) => `${above}/${place}`);
    const second = level("film");
    const third = second.flatMap(level);
    const fourth = third.flatMap(level);

    const open = openByDefault(aTree("film", ...second, ...third, ...fourth));

    expect([...open]).toEqual(["film", ...second]);
  });

  test("nothing without jobs", () => expect([...openByDefault(new Jobs([]))]).toEqual([]));
});

describe("siblings", () => {
  test("are all shown when they are few, or the flow is small", () => {
    expect(stretches(NOTHING_WISHED, "root", 15, 1_000)).toEqual([{ from: 0, to: 15, isShown: true }]);
    expect(stretches(NOTHING_WISHED, "root", 59, 60)).toEqual([{ from: 0, to: 59, isShown: true }]);
  });

  test("come in pages when they are many, hidden behind as few cards as can be", () => {
    const folding = withPageAt(withPageAt(NOTHING_WISHED, "root", 65), "root", 3);

    expect(stretches(NOTHING_WISHED, "root", 200, 201)).toEqual([
      { from: 0, to: 10, isShown: true },
      { from: 10, to: 200, isShown: false },
    ]);
    expect(stretches(folding, "root", 200, 201)).toEqual([
      { from: 0, to: 10, isShown: true },
      { from: 10, to: 60, isShown: false },
      { from: 60, to: 110, isShown: true },
      { from: 110, to: 200, isShown: false },
    ]);
  });

  test("of which the first are shown anyway need no page for them", () => {
    expect(withPageAt(NOTHING_WISHED, "root", 9)).toBe(NOTHING_WISHED);
  });

  test("are each in exactly one stretch, whatever is shown", () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const chance = new Chance(seed);
      const count = chance.below(400);
      let folding = NOTHING_WISHED;
      for (let times = chance.below(4); times > 0; times -= 1) folding = withPageAt(folding, "root", chance.below(400));
      const found = stretches(folding, "root", count, 1_000);
      const ends = found.map(({ to }) => to);
      expect(found.map(({ from }) => from), `seed ${seed}`).toEqual([0, ...ends.slice(0, -1)]);
      expect(ends.at(-1), `seed ${seed}`).toBe(count);
    }
  });
});

test("the way to a job is opened, and the page on which it stands", () => {
  const siblings = Array.from({ length: 100 }, (_, place) => `film/${place}`);
  const jobs = aTree("film", ...siblings, "film/70/deep", "film/70/deep/er");
  const byDefault = openByDefault(jobs);

  const folding = withWayTo(withWish(NOTHING_WISHED, "film", false), jobs, byDefault, "film/70/deep/er");

  const shown = layOut(jobs, folding, byDefault).byId;
  expect([shown.has("film/70/deep/er"), shown.has("film/65"), shown.has("film/30")]).toEqual([true, true, false]);
  expect(withWayTo(NOTHING_WISHED, jobs, byDefault, "film/3")).toEqual(NOTHING_WISHED);
});

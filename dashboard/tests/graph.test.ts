/** Where the cards of a graph stand, and what of them is seen. */
import { describe, expect, test } from "vitest";
import { NOTHING_WISHED, openByDefault, withWish } from "../src/pages/flow/graph/folding";
import { layOut, type Layout } from "../src/pages/flow/graph/layout";
import { neighbour } from "../src/pages/flow/graph/neighbours";
import { firstView, viewAround, viewHolding, viewWith } from "../src/pages/flow/graph/view";
import { Chance } from "./support/chance";
import { aFan, aTree } from "./support/trees";

const SMALL = aTree("film", "film/a", "film/a/x", "film/a/y", "film/b");

describe("the layout", () => {
  const layout = layOut(SMALL, NOTHING_WISHED, openByDefault(SMALL));

  test("has a card for each job that is shown, its children to the right of it and in their order", () => {
    expect(layout.cards.map(({ card }) => card.id).sort()).toEqual(["film", "film/a", "film/a/x", "film/a/y", "film/b"]);
    const at = (id: string) => layout.byId.get(id)!;
    expect(at("film").x).toBeLessThan(at("film/a").x);
    expect(at("film/a").x).toBe(at("film/b").x);
    expect(at("film/a").y).toBeLessThan(at("film/b").y);
  });

  test("has one card for what is folded, and one for siblings that are hidden", () => {
    const folded = layOut(SMALL, withWish(NOTHING_WISHED, "film", false), openByDefault(SMALL));
    expect(folded.cards.map(({ card }) => card)).toMatchObject([{ id: "film", fold: "folded" }]);

    const fan = aFan(100);
    const { card } = layOut(fan, NOTHING_WISHED, openByDefault(fan)).cards.at(-1)!;
    expect(card).toEqual({ kind: "gap", id: "gap:root:10", parentId: "root", from: 10, to: 100 });
  });

  test("lets no card touch another", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const chance = new Chance(seed);
      const ids = ["root"];
      for (let more = chance.below(50); more > 0; more -= 1) ids.push(`${chance.one(ids)}/${ids.length}`);
      const jobs = aTree(...ids);
      const wished = withWish(NOTHING_WISHED, chance.one(ids), chance.below(2) === 0);
      expect(touching(layOut(jobs, wished, openByDefault(jobs))), `seed ${seed}`).toEqual([]);
    }
  });

  test.each([
    ["film", "ArrowRight", "film/a"],
    ["film/a", "ArrowLeft", "film"],
    ["film/a", "ArrowDown", "film/b"],
    ["film/b", "ArrowUp", "film/a"],
    ["film/a/y", "ArrowDown", null],
    ["film", "ArrowLeft", null],
    ["film/b", "ArrowRight", null],
    ["film", "Enter", null],
    ["nowhere", "ArrowUp", null],
  ])("leads from %s with %s to %s", (from, key, to) => expect(neighbour(layout, from, key)).toBe(to));
});

test("up and down lead to the nearest card of a column", () => {
  const fan = aFan(5);
  const layout = layOut(fan, NOTHING_WISHED, openByDefault(fan));

  expect([neighbour(layout, "root/0", "ArrowDown"), neighbour(layout, "root/4", "ArrowUp")]).toEqual(["root/1", "root/3"]);
});

describe("the view", () => {
  const layout = layOut(SMALL, NOTHING_WISHED, openByDefault(SMALL));
  const { bounds } = layout;
  const card = layout.byId.get("film/b")!;

  test("is of the whole at first, in the middle and no larger than life", () => {
    const view = firstView(layout, { width: 3_000, height: 2_000 });

    expect(view.zoom).toBe(1);
    expect(view.x + (bounds.x + bounds.width / 2) * view.zoom).toBeCloseTo(1_500);
    expect(view.y + (bounds.y + bounds.height / 2) * view.zoom).toBeCloseTo(1_000);
  });

  test("begins with the root at the left when the whole could not be read", () => {
    const view = firstView(layout, { width: 300, height: 400 });
    const root = layout.cards[0]!;

    expect(view.x).toBeGreaterThan(0);
    expect(view.y + (root.y + root.height / 2) * view.zoom).toBeCloseTo(200);
    expect(view.zoom).toBeGreaterThan(0.5);
  });

  test("moves no further than needed to show a card", () => {
    const seen = viewAround({ x: 0, y: 0, zoom: 1 }, card, { width: 1_000, height: 800 });
    expect(viewWith(seen, card, { width: 1_000, height: 800 })).toEqual(seen);

    const left = viewWith({ x: -card.x - 100, y: seen.y, zoom: 1 }, card, { width: 1_000, height: 800 });
    expect(left.x + card.x).toBe(28);
    const right = viewWith({ x: 1_000, y: seen.y, zoom: 1 }, card, { width: 1_000, height: 800 });
    expect(right.x + card.x + card.width).toBe(1_000 - 28);
    expect([left.y, right.y]).toEqual([seen.y, seen.y]);
  });

  test("holds a card where it was when everything else moves", () => {
    const view = { x: 10, y: 20, zoom: 0.5 };
    const after = viewHolding(view, card, { ...card, x: card.x + 100, y: card.y - 40 });

    expect([after.x + (card.x + 100) * 0.5, after.y + (card.y - 40) * 0.5]).toEqual([10 + card.x * 0.5, 20 + card.y * 0.5]);
  });
});

function touching({ cards }: Layout): string[] {
  return cards.flatMap((one, place) =>
    cards
      .slice(place + 1)
      .filter(
        (other) =>
          one.x < other.x + other.width && other.x < one.x + one.width && one.y < other.y + other.height && other.y < one.y + one.height,
      )
      .map((other) => `${one.card.id} and ${other.card.id}`),
  );
}

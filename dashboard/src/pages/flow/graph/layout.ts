/** Where each card of the graph stands: a tidy tree with its root at the left. */
import { hierarchy, tree, type HierarchyPointNode } from "d3-hierarchy";
import type { Jobs } from "../../../board/jobs";
import { isOpen, stretches, type Folding } from "./folding";

export const CARD_WIDTH = 236;
export const CARD_HEIGHT = 54;
/** With a line for what is folded below. */
export const FOLDED_HEIGHT = 82;
export const GAP_HEIGHT = 58;
const COLUMN = CARD_WIDTH + 116;
const BETWEEN_SIBLINGS = 14;
const BETWEEN_COUSINS = 30;

export type Fold = "leaf" | "open" | "folded";

interface JobCardPlan {
  kind: "job";
  id: string;
  fold: Fold;
  below: CardPlan[];
}

/** Siblings that stand behind one card. */
interface GapCardPlan {
  kind: "gap";
  id: string;
  parentId: string;
  from: number;
  to: number;
}

type CardPlan = JobCardPlan | GapCardPlan;

export interface Placed {
  card: CardPlan;
  /** The card of its parent. */
  parent: string | null;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  /** Parents before their children, siblings in the order of the request. */
  cards: readonly Placed[];
  byId: ReadonlyMap<string, Placed>;
  bounds: { x: number; y: number; width: number; height: number };
}

/** The cards of what is unfolded, and where they stand. The work grows with what is shown, not with the flow. */
export function layOut(jobs: Jobs, folding: Folding, byDefault: ReadonlySet<string>): Layout {
  const plan = planOf(jobs, jobs.rootId, folding, byDefault);
  const root = tree<CardPlan>()
    .nodeSize([1, COLUMN])
    .separation((a, b) => (heightOf(a.data) + heightOf(b.data)) / 2 + (a.parent === b.parent ? BETWEEN_SIBLINGS : BETWEEN_COUSINS))(
    hierarchy(plan, (card) => (card.kind === "job" ? card.below : [])),
  );
  const cards = root.descendants().map(placed);
  return { cards, byId: new Map(cards.map((card) => [card.card.id, card])), bounds: boundsOf(cards) };
}

function planOf(jobs: Jobs, id: string, folding: Folding, byDefault: ReadonlySet<string>): CardPlan {
  const children = jobs.get(id)?.children ?? [];
  if (children.length === 0) return { kind: "job", id, fold: "leaf", below: [] };
  if (!isOpen(id, folding, byDefault)) return { kind: "job", id, fold: "folded", below: [] };
  const below = stretches(folding, id, children.length, jobs.byId.size).flatMap<CardPlan>(({ from, to, isShown }) =>
    isShown
      ? children.slice(from, to).map((child) => planOf(jobs, child, folding, byDefault))
      : [{ kind: "gap", id: `gap:${id}:${from}`, parentId: id, from, to }],
  );
  return { kind: "job", id, fold: "open", below };
}

function placed(node: HierarchyPointNode<CardPlan>): Placed {
  const height = heightOf(node.data);
  return { card: node.data, parent: node.parent?.data.id ?? null, x: node.y, y: node.x - height / 2, width: CARD_WIDTH, height };
}

function heightOf(card: CardPlan): number {
  if (card.kind === "gap") return GAP_HEIGHT;
  return card.fold === "folded" ? FOLDED_HEIGHT : CARD_HEIGHT;
}

function boundsOf(cards: readonly Placed[]): Layout["bounds"] {
  let [left, top, right, bottom] = [0, 0, 0, 0];
  for (const card of cards) {
    left = Math.min(left, card.x);
    top = Math.min(top, card.y);
    right = Math.max(right, card.x + card.width);
    bottom = Math.max(bottom, card.y + card.height);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

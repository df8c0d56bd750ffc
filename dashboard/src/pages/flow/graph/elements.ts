/** The layout in the words of React Flow. */
import { Position, type NodeHandle } from "@xyflow/react";
import type { GapCardNode } from "./GapCard";
import { cardLabel, type JobCardNode } from "./JobCard";
import { CARD_HEIGHT, type Layout, type Placed } from "./layout";
import type { ResultEdgeType } from "./ResultEdge";

export type CardNode = JobCardNode | GapCardNode;

export function nodesOf(layout: Layout, selected: string | null, found: string | null): CardNode[] {
  return layout.cards.map((placed) => {
    const { card, x, y, width, height } = placed;
    const common = { position: { x, y }, width, height, handles: handlesOf(placed), draggable: false, connectable: false };
    if (card.kind === "gap") {
      const { id, parentId, from, to } = card;
      return { ...common, id, type: "gap", data: { parentId, from, to }, selectable: false, focusable: false };
    }
    return {
      ...common,
      id: card.id,
      type: "job",
      data: { fold: card.fold, isFound: card.id === found },
      selected: card.id === selected,
      domAttributes: { "aria-labelledby": cardLabel(card.id), "aria-roledescription": "job" },
    };
  });
}

export function edgesOf(layout: Layout, selected: string | null): ResultEdgeType[] {
  return layout.cards.flatMap(({ card, parent }) =>
    parent === null
      ? []
      : [
          {
            id: `${card.id} to parent`,
            type: "result",
            source: card.id,
            target: parent,
            data: { isLit: card.id === selected, isGap: card.kind === "gap" },
            focusable: false,
            selectable: false,
            // The cards say all that the edges show.
            ariaRole: "presentation",
            ariaLabel: null as unknown as undefined,
          },
        ],
  );
}

/** Where edges begin and end; told, so that they can be drawn to cards that are not. */
function handlesOf({ card, width, height }: Placed): NodeHandle[] {
  const y = (card.kind === "job" && card.fold === "folded" ? CARD_HEIGHT : height) / 2;
  const ends: NodeHandle[] = [{ type: "source", position: Position.Left, x: 0, y, width: 1, height: 1 }];
  if (card.kind === "job") ends.push({ type: "target", position: Position.Right, x: width, y, width: 1, height: 1 });
  return ends;
}

/** Where the arrow keys lead in the graph. */
import type { Layout } from "./layout";

/** The card to the left (the parent), to the right (the first child), above or below; null where there is none. */
export function neighbour(layout: Layout, id: string, key: string): string | null {
  const here = layout.byId.get(id);
  if (here === undefined) return null;
  switch (key) {
    case "ArrowLeft":
      return here.parent;
    case "ArrowRight":
      return here.card.kind === "job" ? (here.card.below[0]?.id ?? null) : null;
    case "ArrowUp":
      return nextInColumn(layout, here.x, here.y, -1);
    case "ArrowDown":
      return nextInColumn(layout, here.x, here.y, 1);
    default:
      return null;
  }
}

function nextInColumn(layout: Layout, x: number, y: number, by: 1 | -1): string | null {
  let nearest: { id: string; away: number } | null = null;
  for (const { card, x: column, y: height } of layout.cards) {
    const away = (height - y) * by;
    if (column === x && away > 0 && (nearest === null || away < nearest.away)) nearest = { id: card.id, away };
  }
  return nearest?.id ?? null;
}

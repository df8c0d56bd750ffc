import { createContext, useContext } from "react";
import type { Board } from "../../../board/board";

/** What every card can reach. It stays the same for as long as the graph is shown. */
export interface GraphContext {
  board: Board;
  /** Open a folded job, or fold an open one. */
  toggle(id: string): void;
  /** Show the siblings on the page where this place is. */
  showPage(parentId: string, place: number): void;
}

export const InGraph = createContext<GraphContext | null>(null);

export function useGraph(): GraphContext {
  const graph = useContext(InGraph);
  if (graph === null) throw new Error("a card stands outside of a graph");
  return graph;
}

import { useSyncExternalStore } from "react";
import type { Board } from "./board";
import type { Jobs } from "./jobs";

/**
 * A value from the board: the component is drawn again only when it has changed. `pick` returns something that is
 * compared by identity: a text, a number, or an object that the board holds.
 */
export function useOnBoard<T>(board: Board, pick: (jobs: Jobs) => T): T {
  return useSyncExternalStore(board.watch, () => pick(board.jobs));
}

import { useEffect, useMemo, useSyncExternalStore } from "react";
import { Board } from "./board";

/** The board of this flow, kept up while the component is shown. The component is drawn again with every change. */
export function useBoard(flowId: string): Board {
  const board = useMemo(() => new Board(flowId), [flowId]);
  useEffect(() => {
    board.open();
    return () => board.close();
  }, [board]);
  useSyncExternalStore(board.watch, () => board.version);
  return board;
}

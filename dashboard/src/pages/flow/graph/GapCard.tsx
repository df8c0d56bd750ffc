import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { IconDots } from "@tabler/icons-react";
import { memo, useEffect, useState } from "react";
import type { Board } from "../../../board/board";
import { SIBLINGS_PAGE } from "./folding";
import { useGraph } from "./graphContext";
import { countsAmong, countsOf } from "./jobMarks";
import { TinyCounts } from "./TinyCounts";
import classes from "./card.module.css";

export type GapCardNode = Node<{ parentId: string; from: number; to: number }, "gap">;

const LOOK_EVERY_MS = 250;

/** Many siblings behind one card. A press shows the next of them. */
export const GapCard = memo(function GapCard({ data: { parentId, from, to } }: NodeProps<GapCardNode>) {
  const { board, showPage } = useGraph();
  const counts = useCountsAmong(board, parentId, from, to);
  const hidden = to - from;
  return (
    <button
      type="button"
      className={classes.gap}
      title={`Show the next ${Math.min(SIBLINGS_PAGE, hidden)}`}
      onClick={(click) => (click.stopPropagation(), showPage(parentId, from))}
    >
      <Handle type="source" position={Position.Left} isConnectable={false} className={classes.handle} />
      <span className={classes.more}>
        <IconDots size={16} aria-hidden />+ {hidden.toLocaleString()} more
      </span>
      <TinyCounts counts={countsOf(counts.split(",").map(Number))} />
    </button>
  );
});

/**
 * The states behind the card, as one text. They may be ten thousand, so they are not counted with every change but a
 * few times a second, and only after something has changed.
 */
function useCountsAmong(board: Board, parentId: string, from: number, to: number): string {
  const count = () => countsAmong(board.jobs, (board.jobs.get(parentId)?.children ?? []).slice(from, to)).join();
  const [counts, setCounts] = useState(count);
  useEffect(() => {
    setCounts(count());
    let timer: ReturnType<typeof setTimeout> | null = null;
    const stop = board.watch(() => {
      timer ??= setTimeout(() => {
        timer = null;
        setCounts(count());
      }, LOOK_EVERY_MS);
    });
    return () => {
      stop();
      if (timer !== null) clearTimeout(timer);
    };
  }, [board, parentId, from, to]);
  return counts;
}

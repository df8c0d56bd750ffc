import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { memo } from "react";
import type { Board } from "../../../board/board";
import { useOnBoard } from "../../../board/useOnBoard";
import { StatusIcon } from "../../../parts/status";
import { Duration } from "../../../parts/time";
import { LOOKS } from "../../../theme";
import { countsOf, marksOf, percentOf } from "./jobMarks";
import type { Row } from "./rows";
import { total } from "./search";
import { TinyCounts } from "./TinyCounts";
import classes from "./list.module.css";

interface TreeRowProps {
  board: Board;
  row: Row;
  top: number;
  height: number;
  isSelected: boolean;
  isCurrent: boolean;
  onOpen(id: string): void;
  onToggle(id: string): void;
}

/** One job of the list. Like a card it watches the board itself. */
export const TreeRow = memo(function TreeRow(props: TreeRowProps) {
  const { board, row, top, height, isSelected, isCurrent, onOpen, onToggle } = props;
  useOnBoard(board, (jobs) => marksOf(jobs.get(row.id), row.fold === "folded"));
  const job = board.jobs.get(row.id);
  if (job === undefined) return null;
  const percent = job.status === "active" ? percentOf(job.progress) : null;
  return (
    <div
      id={rowElement(row.id)}
      role="treeitem"
      aria-level={row.depth + 1}
      aria-posinset={row.place + 1}
      aria-setsize={row.siblings}
      aria-expanded={row.fold === "leaf" ? undefined : row.fold === "open"}
      aria-selected={isSelected}
      className={classes.row}
      data-current={isCurrent || undefined}
      style={{ top, height, "--depth": row.depth } as React.CSSProperties}
      onClick={() => onOpen(row.id)}
    >
      <span
        className={classes.fold}
        onClick={(click) => {
          if (row.fold === "leaf") return;
          click.stopPropagation();
          onToggle(row.id);
        }}
      >
        {row.fold === "open" && <IconChevronDown size={16} aria-hidden />}
        {row.fold === "folded" && <IconChevronRight size={16} aria-hidden />}
      </span>
      <StatusIcon status={job.status} size={18} />
      <span className={classes.words}>
        <span className={classes.name} title={job.name}>
          {job.name}
        </span>
        <span className={classes.queue} title={`Queue ${job.queueName}`}>
          {job.queueName}
        </span>
      </span>
      {row.fold === "folded" && (
        <span className={classes.below}>
          <span>{total(job.below).toLocaleString()} below</span>
          <TinyCounts counts={countsOf(job.below)} />
        </span>
      )}
      <span className={classes.facts}>
        {job.attemptsMade > 1 && <span>{job.attemptsMade} attempts</span>}
        {percent !== null && <span>{Math.round(percent)} %</span>}
        {job.startedAt === null ? (
          <span>{LOOKS[job.status].word}</span>
        ) : (
          <Duration from={job.startedAt} to={job.finishedAt} fz="inherit" c="inherit" />
        )}
      </span>
      {percent !== null && (
        <span className={classes.progress} style={{ width: `${percent}%`, background: `var(--mantine-color-${LOOKS[job.status].color}-filled)` }} />
      )}
    </div>
  );
});

export function rowElement(id: string): string {
  return `row-${id}`;
}

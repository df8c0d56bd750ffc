import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { IconChevronLeft, IconChevronRight } from "@tabler/icons-react";
import { memo } from "react";
import { useOnBoard } from "../../../board/useOnBoard";
import { StatusIcon } from "../../../parts/status";
import { Duration } from "../../../parts/time";
import { LOOKS } from "../../../theme";
import { useGraph } from "./graphContext";
import { countsOf, marksOf, percentOf } from "./jobMarks";
import type { Fold } from "./layout";
import { total } from "./search";
import { TinyCounts } from "./TinyCounts";
import classes from "./card.module.css";

export type JobCardNode = Node<{ fold: Fold; isFound: boolean }, "job">;

/** One job of the graph. It watches the board itself, so that a change of its state draws it alone. */
export const JobCard = memo(function JobCard({ id, data: { fold, isFound }, selected }: NodeProps<JobCardNode>) {
  const { board, toggle } = useGraph();
  useOnBoard(board, (jobs) => marksOf(jobs.get(id), fold === "folded"));
  const job = board.jobs.get(id);
  if (job === undefined) return null;
  const percent = job.status === "active" ? percentOf(job.progress) : null;
  const color = LOOKS[job.status].color;
  return (
    <div
      className={classes.card}
      data-status={job.status}
      data-selected={selected || undefined}
      data-found={isFound || undefined}
      style={{ "--state": `var(--mantine-color-${color}-filled)` } as React.CSSProperties}
    >
      <Handle type="target" position={Position.Right} isConnectable={false} className={classes.handle} />
      <Handle type="source" position={Position.Left} isConnectable={false} className={classes.handle} />
      <div id={cardLabel(id)} className={classes.face}>
        <StatusIcon status={job.status} size={18} />
        <div className={classes.words}>
          <div className={classes.name} title={job.name}>
            {job.name}
          </div>
          <div className={classes.facts}>
            <span className={classes.queue} title={`Queue ${job.queueName}`}>
              {job.queueName}
            </span>
            {job.attemptsMade > 1 && <span>{job.attemptsMade} attempts</span>}
            {percent !== null && <span>{Math.round(percent)} %</span>}
            {job.startedAt === null ? (
              <span>{LOOKS[job.status].word}</span>
            ) : (
              <Duration from={job.startedAt} to={job.finishedAt} fz="inherit" c="inherit" />
            )}
          </div>
        </div>
      </div>
      {percent !== null && (
        <div className={classes.progress} aria-hidden>
          <span style={{ width: `${percent}%` }} />
        </div>
      )}
      {fold === "folded" && (
        <button type="button" className={classes.below} onClick={(click) => (click.stopPropagation(), toggle(id))}>
          <span>{total(job.below).toLocaleString()} jobs below</span>
          <TinyCounts counts={countsOf(job.below)} />
          <IconChevronRight size={14} aria-hidden />
        </button>
      )}
      {fold === "open" && (
        <button
          type="button"
          className={classes.fold}
          title="Fold what is below"
          aria-label={`Fold what is below ${job.name}`}
          onClick={(click) => (click.stopPropagation(), toggle(id))}
        >
          <IconChevronLeft size={12} aria-hidden />
        </button>
      )}
    </div>
  );
});

/** The element that says which job a card is, and how it fares. */
export function cardLabel(id: string): string {
  return `card-${id}`;
}

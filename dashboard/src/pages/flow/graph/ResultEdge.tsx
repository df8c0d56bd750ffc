import { BaseEdge, EdgeLabelRenderer, getBezierPath, type Edge, type EdgeProps } from "@xyflow/react";
import { memo, useState } from "react";
import type { JobStatus } from "../../../api/types";
import { useOnBoard } from "../../../board/useOnBoard";
import { LOOKS } from "../../../theme";
import { isOfTheBoard, useJob } from "../panel/useJob";
import { useGraph } from "./graphContext";
import classes from "./edge.module.css";

/** From a job, or from a card of many, to the parent. */
export type ResultEdgeType = Edge<{ isLit: boolean; isGap: boolean }, "result">;

const LONGEST_PREVIEW = 160;

/** What goes from a job to its parent: a result that passed, a failure, or what is still to come. */
export const ResultEdge = memo(function ResultEdge(props: EdgeProps<ResultEdgeType>) {
  const { source: jobId, data } = props;
  const { board } = useGraph();
  const [isHovered, setHovered] = useState(false);
  const status = useOnBoard(board, (jobs) => (data?.isGap ? undefined : jobs.get(jobId)?.status));
  const [path, x, y] = getBezierPath(props);
  const hasPassed = status === "completed";
  const isShown = isHovered || (data?.isLit ?? false);
  return (
    <g className={classes.touched} onMouseEnter={() => setHovered(true)} onMouseLeave={() => setHovered(false)}>
      <BaseEdge
        path={path}
        interactionWidth={16}
        className={classes.edge}
        data-status={status ?? "gap"}
        data-lit={isShown || undefined}
        markerEnd={hasPassed ? `url(#${PASSED_MARK})` : status === "failed" ? `url(#${FAILED_MARK})` : undefined}
      />
      {isShown && status !== undefined && (
        <EdgeLabelRenderer>
          <div
            className={classes.edgeLabel}
            data-status={status}
            data-wide={isHovered || undefined}
            style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
          >
            {hasPassed && isHovered ? <Passed jobId={jobId} /> : word(status)}
          </div>
        </EdgeLabelRenderer>
      )}
    </g>
  );
});

function Passed({ jobId }: { jobId: string }) {
  const { board } = useGraph();
  const job = board.jobs.get(jobId);
  const { data } = useJob(jobId, job);
  if (data === undefined || job === undefined || !isOfTheBoard(data, job)) return <>result passed</>;
  if (data.result == null) return <>passed without a result</>;
  const text = JSON.stringify(data.result);
  return (
    <>
      result passed <code>{text.length > LONGEST_PREVIEW ? `${text.slice(0, LONGEST_PREVIEW)}…` : text}</code>
    </>
  );
}

function word(status: JobStatus): string {
  return status === "completed" ? "result passed" : LOOKS[status].word;
}

const PASSED_MARK = "edge-passed";
const FAILED_MARK = "edge-failed";

/** The ends of edges on which something passed; drawn once beside the graph. */
export function EdgeMarks() {
  return (
    <svg width={0} height={0} className={classes.marks} aria-hidden>
      <defs>
        {[PASSED_MARK, FAILED_MARK].map((id) => (
          <marker key={id} id={id} viewBox="0 0 8 8" refX={7} refY={4} markerWidth={5} markerHeight={5} orient="auto">
            <path d="M0 0 L8 4 L0 8 z" className={id === FAILED_MARK ? classes.failedMark : classes.passedMark} />
          </marker>
        ))}
      </defs>
    </svg>
  );
}

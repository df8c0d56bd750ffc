import { Anchor } from "@mantine/core";
import type { Board } from "../../../board/board";
import { useOnBoard } from "../../../board/useOnBoard";
import { StatusIcon } from "../../../parts/status";
import classes from "./panel.module.css";

interface JobLinkProps {
  board: Board;
  jobId: string;
  /** In the colour of the words around it, underlined: on a coloured ground. */
  isAmongWords?: boolean;
  onSelect(id: string): void;
}

/** The name and state of a job of the same flow; leads to it. */
export function JobLink({ board, jobId, isAmongWords = false, onSelect }: JobLinkProps) {
  const status = useOnBoard(board, (jobs) => jobs.get(jobId)?.status);
  const name = board.jobs.get(jobId)?.name ?? jobId;
  return (
    <Anchor
      component="button"
      type="button"
      size="sm"
      className={classes.link}
      c={isAmongWords ? "inherit" : undefined}
      underline={isAmongWords ? "always" : "hover"}
      onClick={() => onSelect(jobId)}
    >
      {status !== undefined && <StatusIcon status={status} size={14} />}
      <span>{name}</span>
    </Anchor>
  );
}

import { CloseButton, Drawer, Group, Text, Title } from "@mantine/core";
import { useEffect, useRef } from "react";
import type { Board } from "../../../board/board";
import { useOnBoard } from "../../../board/useOnBoard";
import { useIsNarrow } from "../../../parts/useIsNarrow";
import { marksOf } from "../graph/jobMarks";
import { JobDetails } from "./JobDetails";
import { PANEL_ID, PANEL_WIDTH } from "./place";
import classes from "./panel.module.css";

interface JobPanelProps {
  board: Board;
  /** The job that is shown; null while none is. */
  jobId: string | null;
  onClose(): void;
  onSelect(id: string): void;
}

/**
 * One job beside its flow: a panel over the right edge, which leaves the flow usable, and on a narrow screen a page of
 * its own over everything.
 */
export function JobPanel({ board, jobId, onClose, onSelect }: JobPanelProps) {
  const isNarrow = useIsNarrow();
  const name = useOnBoard(board, (jobs) => (jobId === null ? undefined : jobs.get(jobId)?.name));
  useOnBoard(board, (jobs) => (jobId === null ? "" : `${marksOf(jobs.get(jobId), false)} ${jobs.get(jobId)?.run} ${jobs.get(jobId)?.message}`));
  const job = jobId === null ? undefined : board.jobs.get(jobId);
  const content =
    job === undefined ? (
      <Text size="sm">This flow has no such job.</Text>
    ) : (
      <JobDetails key={job.id} board={board} job={job} onSelect={onSelect} />
    );
  if (isNarrow) {
    return (
      <Drawer.Root opened={jobId !== null} onClose={onClose} position="right" size="100%">
        <Drawer.Content aria-label={`Job ${name ?? ""}`} className={classes.page}>
          <Top name={name ?? "Job"} onClose={onClose} />
          <div className={classes.content}>{content}</div>
        </Drawer.Content>
      </Drawer.Root>
    );
  }
  if (jobId === null) return null;
  return (
    <Side jobId={jobId} name={name ?? "Job"} onClose={onClose}>
      {content}
    </Side>
  );
}

interface SideProps {
  jobId: string;
  name: string;
  onClose(): void;
  children: React.ReactNode;
}

function Side({ jobId, name, onClose, children }: SideProps) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    panel.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  useEffect(() => {
    panel.current?.scrollTo({ top: 0 });
    // A link that led to another job is gone with the one it stood in.
    if (document.activeElement === document.body) panel.current?.focus({ preventScroll: true });
  }, [jobId]);
  return (
    <aside
      ref={panel}
      id={PANEL_ID}
      className={classes.panel}
      style={{ width: PANEL_WIDTH }}
      aria-label={`Job ${name}`}
      tabIndex={-1}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <Top name={name} onClose={onClose} />
      <div className={classes.content}>{children}</div>
    </aside>
  );
}

function Top({ name, onClose }: { name: string; onClose(): void }) {
  return (
    <Group justify="space-between" wrap="nowrap" align="flex-start" className={classes.top}>
      <Title order={2} className={classes.title}>
        {name}
      </Title>
      <CloseButton aria-label="Close the job" onClick={onClose} />
    </Group>
  );
}

/** When each job of a flow waited and ran: a row for each job, a bar for each attempt, and what held up the whole. */
import { Button, Group, Skeleton, Stack, Text } from "@mantine/core";
import { useMemo, useRef, useState } from "react";
import { hasEnded } from "../../../api/types";
import type { Board } from "../../../board/board";
import type { Jobs } from "../../../board/jobs";
import { useNow } from "../../../parts/time";
import { Chart } from "./Chart";
import { Controls, CriticalSummary, Legend } from "./Controls";
import { CriticalTable } from "./CriticalTable";
import { criticalPath, type History } from "./criticalPath";
import { DrawnTime, gapsIn, idleIn, type Gap } from "./gaps";
import { historyOf } from "./history";
import { useAttempts } from "./useAttempts";
import { useChartSize } from "./useChartSize";
import { useRows } from "./useRows";
import { useScale } from "./useScale";

interface TimelineProps {
  board: Board;
  selected: string | null;
  onSelect(jobId: string): void;
}

export function Timeline({ board, selected, onSelect }: TimelineProps) {
  const { attempts, read, readAll } = useAttempts(board);
  const { jobs, flow } = board;
  const [isCriticalOnly, setCriticalOnly] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const size = useChartSize(scroller);

  const start = jobs.root?.createdAt ?? 0;
  const isLive = flow !== null && (!hasEnded(flow.status) || lastEnd(board) === null);
  const clock = useNow(isLive ? pace(Date.now() - start) : 0);
  // The clock of this machine may be slow: what the service has told is never in the future.
  const now = Math.max(clock, flow === null ? 0 : Date.parse(flow.updatedAt));
  const end = isLive ? now : (lastEnd(board) ?? now);

  const history = useMemo(() => (job: Parameters<typeof historyOf>[0]) => historyOf(job, jobs, attempts), [jobs, attempts]);
  // The jobs change in place, and the version with them
  const gaps = useMemo(() => gapsOfRuns(jobs, history, start, end), [jobs, history, start, Math.floor(end / 1_000), board.version, read]);
  const time = useMemo(() => new DrawnTime(start, end, gaps), [start, end, gaps]);
  const path = useMemo(() => criticalPath(jobs, history, now, gaps), [jobs, history, now, gaps, board.version, read]);
  const steps = path.steps.map((step) => step.id).join();
  // Only which jobs it has matters to the rows
  const shownPath = useMemo(() => (isCriticalOnly ? path : null), [isCriticalOnly, steps]);
  const rows = useRows(jobs, shownPath, now);
  const scale = useScale(scroller, size.namesWidth, size.chartWidth, time.duration);
  const canFold = !isCriticalOnly && rows.order === "tree" && jobs.byId.size > (jobs.root?.children.length ?? 0) + 1;

  return (
    <Stack gap="xs">
      <Controls
        order={rows.order}
        onOrder={rows.setOrder}
        isCriticalOnly={isCriticalOnly}
        onCriticalOnly={setCriticalOnly}
        onFoldAll={canFold ? rows.foldAll : null}
        onZoom={scale.zoom}
        onFit={scale.fit}
        isFit={scale.isFit}
      />
      {flow === null && <Skeleton height={200} role="status" aria-label="Loading" />}
      {flow !== null && <CriticalSummary path={path} hasEnded={hasEnded(flow.status)} idle={idleIn(gaps, start, end)} />}
      <Chart
        scroller={scroller}
        jobs={jobs}
        rows={rows.rows}
        history={history}
        path={path}
        axis={{ time, now, pixelsPerMs: scale.pixelsPerMs, isLive }}
        size={size}
        selected={selected}
        onSelect={onSelect}
        onFold={rows.fold}
        onZoom={scale.zoom}
        onFit={scale.fit}
      />
      <Legend />
      <HowMuchIsRead read={read} all={board.lastSeq} readAll={readAll} />
      <CriticalTable path={path} jobs={jobs} />
    </Stack>
  );
}

function HowMuchIsRead({ read, all, readAll }: { read: number; all: number; readAll: (() => void) | null }) {
  if (readAll !== null) {
    return (
      <Group gap="sm">
        <Text size="xs">Each job is shown with its last attempt. Earlier ones stand in the log.</Text>
        <Button size="compact-xs" variant="default" onClick={readAll}>
          Read its {all.toLocaleString()} entries
        </Button>
      </Group>
    );
  }
  if (all - read < 500) return null;
  return (
    <Text size="xs" role="status">
      Reading the log for earlier attempts: {read.toLocaleString()} of {all.toLocaleString()} entries
    </Text>
  );
}

/** Between the runs of a flow that was retried nothing happens, often for long. Within a run something always runs or waits. */
function gapsOfRuns(jobs: Jobs, history: History, start: number, end: number): Gap[] {
  if ((jobs.root?.run ?? 1) <= 1) return [];
  return gapsIn([...jobs.byId.values()].map(history), start, end, end);
}

/** When the last job ended; null while one has still to. */
function lastEnd({ jobs, flow }: Board): number | null {
  let last = flow?.finishedAt == null ? 0 : Date.parse(flow.finishedAt);
  for (const job of jobs.byId.values()) {
    if (job.status === "active") return null;
    last = Math.max(last, job.finishedAt ?? 0);
  }
  return last === 0 ? null : last;
}

/** How often the bars grow: as often as it can be seen. */
function pace(duration: number): number {
  if (duration < 20_000) return 50;
  if (duration < 120_000) return 100;
  return duration < 600_000 ? 250 : 1_000;
}

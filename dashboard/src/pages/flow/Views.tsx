/** A flow's jobs as a graph, over time, and as a log; beside them what there is to know of one job. */
import { Tabs } from "@mantine/core";
import { IconListDetails, IconSitemap, IconTimeline } from "@tabler/icons-react";
import { lazy, Suspense } from "react";
import type { Board } from "../../board/board";
import { Loading } from "../../parts/loading";
import { Graph } from "./graph/Graph";
import { JobPanel } from "./panel/JobPanel";
import type { View } from "./place";

const Timeline = lazy(async () => ({ default: (await import("./timeline/Timeline")).Timeline }));
const EventLogView = lazy(async () => ({ default: (await import("./log/EventLogView")).EventLogView }));

interface ViewsProps {
  board: Board;
  view: View;
  jobId: string | null;
  onShow: (view: View) => void;
  onSelect: (jobId: string | null) => void;
}

export function Views({ board, view, jobId, onShow, onSelect }: ViewsProps) {
  return (
    <>
      <Tabs value={view} onChange={(chosen) => onShow(chosen as View)} keepMounted={false}>
        <Tabs.List mb="sm" aria-label="Views of the jobs">
          <Tabs.Tab value="graph" leftSection={<IconSitemap size={16} aria-hidden />}>
            Graph
          </Tabs.Tab>
          <Tabs.Tab value="timeline" leftSection={<IconTimeline size={16} aria-hidden />}>
            Timeline
          </Tabs.Tab>
          <Tabs.Tab value="log" leftSection={<IconListDetails size={16} aria-hidden />}>
            Log
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="graph">
          <Graph board={board} selected={jobId} onSelect={onSelect} />
        </Tabs.Panel>
        <Tabs.Panel value="timeline">
          <Suspense fallback={<Loading />}>
            <Timeline board={board} selected={jobId} onSelect={onSelect} />
          </Suspense>
        </Tabs.Panel>
        <Tabs.Panel value="log">
          <Suspense fallback={<Loading />}>
            <EventLogView board={board} onSelect={onSelect} />
          </Suspense>
        </Tabs.Panel>
      </Tabs>
      <JobPanel board={board} jobId={jobId} onClose={() => onSelect(null)} onSelect={onSelect} />
    </>
  );
}

/** One flow: what it is, how it stands, why it waits, and its jobs in three views. */
import { Anchor, Stack } from "@mantine/core";
import { Link } from "wouter";
import { ProblemAlert } from "../../parts/problem";
import { useBoard } from "../../board/useBoard";
import { hasEnded } from "../../api/types";
import { ExplainBox } from "./explain/ExplainBox";
import { FlowSkeleton } from "./FlowSkeleton";
import { Header } from "./Header";
import { LostFlow } from "./LostFlow";
import { Outcome } from "./Outcome";
import { usePlace } from "./place";
import { Views } from "./Views";

export default function FlowPage({ flowId }: { flowId: string }) {
  const board = useBoard(flowId);
  const { view, jobId, show, select } = usePlace();
  const { flow, jobs, problem } = board;
  if (problem !== null && problem.status === 404) return <LostFlow detail={problem.detail} />;
  if (flow === null) {
    return (
      <Stack>
        {problem !== null && <ProblemAlert error={problem} />}
        <FlowSkeleton />
      </Stack>
    );
  }
  return (
    <Stack gap="md">
      <Anchor component={Link} href="/flows" size="sm" w="fit-content">
        ← All flows
      </Anchor>
      <Header flow={flow} counts={jobs.counts} />
      {hasEnded(flow.status) && <Outcome flow={flow} root={jobs.root} nameOf={(id) => jobs.get(id)?.name} onSelect={select} />}
      <ExplainBox flow={flow} counts={jobs.counts} onSelect={select} />
      <Views board={board} view={view} jobId={jobId} onShow={show} onSelect={select} />
    </Stack>
  );
}

/** Whether the service can work, how far it is behind, and what to do about it. */
import { Badge, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import type { Series } from "../../api/history";
import { readinessHistory, useReadiness } from "../../api/readiness";
import { get } from "../../api/rest";
import { useLiveState } from "../../api/useLive";
import { PageTitle } from "../../parts/heading";
import { ProblemAlert } from "../../parts/problem";
import { Sparkline } from "../../parts/sparkline";
import { durationText, Instant } from "../../parts/time";
import { CheckCard } from "./CheckCard";
import { backlogCheck, lagCheck, partChecks } from "./checks";

const EVERY_MS = 2_000;
const LAG: readonly Series[] = [{ word: "Lag", color: "var(--mantine-color-blue-filled)" }];
const BACKLOG: readonly Series[] = [{ word: "Flows", color: "var(--mantine-color-blue-filled)" }];

export default function HealthPage() {
  const { data, error, dataUpdatedAt } = useReadiness(EVERY_MS);
  const line = useLiveState();
  // Without an answer nothing is known; what was said before is no news of now.
  const readiness = error === null ? data : undefined;
  const backlogs = readinessHistory.of("backlog");
  return (
    <Stack>
      <Group gap="sm">
        <PageTitle>Health</PageTitle>
        {readiness !== undefined && <Ready isReady={readiness.status === "ready"} />}
      </Group>
      <Text size="sm" c="dimmed">
        The service is asked every 2 seconds. <Version /> {dataUpdatedAt > 0 && <>Last answer: <Instant at={dataUpdatedAt} size="sm" />.</>}
      </Text>
      {error !== null && <ProblemAlert error={error} />}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 4 }}>
        {partChecks(readiness, line).map((check) => (
          <CheckCard key={check.name} check={check} />
        ))}
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <CheckCard check={lagCheck(readiness)}>
          <Sparkline label="Recorder lag" samples={readinessHistory.of("lag")} series={LAG} height={48} textOf={durationText} />
        </CheckCard>
        <CheckCard check={backlogCheck(readiness, backlogs)}>
          <Sparkline label="Dispatch backlog" samples={backlogs} series={BACKLOG} height={48} />
        </CheckCard>
      </SimpleGrid>
    </Stack>
  );
}

function Ready({ isReady }: { isReady: boolean }) {
  return (
    <span role="status">
      <Badge
        variant="light"
        size="lg"
        radius="sm"
        tt="none"
        color={isReady ? "teal" : "orange"}
        leftSection={isReady ? <IconCircleCheck size={14} aria-hidden /> : <IconAlertTriangle size={14} aria-hidden />}
      >
        {isReady ? "ready" : "not ready"}
      </Badge>
    </span>
  );
}

function Version() {
  const { data } = useQuery({
    queryKey: ["openapi-version"],
    queryFn: async ({ signal }) => (await get<{ info: { version: string } }>("/openapi.json", {}, signal)).info.version,
    staleTime: Infinity,
  });
  return data === undefined ? null : <>This is bullflow {data}.</>;
}

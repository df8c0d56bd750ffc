/** One queue: how it stands, who works for it, what it may do, and what is slow in it. */
import { Anchor, Group, Paper, SimpleGrid, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useId, type ReactNode } from "react";
import { Link } from "wouter";
import { useMay } from "../../account/me";
import { Problem } from "../../api/rest";
import type { QueueDetail } from "../../api/types";
import { PageTitle } from "../../parts/heading";
import { Chart } from "../../parts/sparkline";
import { queueHistory, useQueue, WAITING_AND_ACTIVE, waitingIn } from "./asking";
import { Limits, Paused } from "./cells";
import { EngineAway, Slow } from "./EngineAway";
import { LimitsForm } from "./LimitsForm";
import { PauseButton } from "./PauseButton";
import { SlowTasks } from "./SlowTasks";
import { WorkersTable } from "./WorkersTable";

export default function QueuePage({ name }: { name: string }) {
  const { data: queue, error, dataUpdatedAt, refetch } = useQueue(name);
  const mayAdmin = useMay("admin");
  const isLost = error instanceof Problem && error.status === 404;
  return (
    <Stack>
      <Anchor component={Link} href="/queues" size="sm" w="fit-content">
        ← All queues
      </Anchor>
      <Group justify="space-between" gap="sm">
        <Group gap="sm">
          <PageTitle>{isLost ? "There is no such queue" : name}</PageTitle>
          {queue?.paused && <Paused size="lg" />}
        </Group>
        {mayAdmin && queue !== undefined && !isLost && <PauseButton name={name} isPaused={queue.paused} onDone={() => void refetch()} />}
      </Group>
      {isLost ? (
        <Text>{error.message} A queue is known once a flow has used it.</Text>
      ) : (
        <>
          {error !== null && <EngineAway error={error} since={dataUpdatedAt} />}
          {queue !== undefined && <Standing queue={queue} onChanged={() => void refetch()} />}
          {queue === undefined && error === null && <Waiting />}
          <Part title="What is slow">
            <SlowTasks name={name} />
          </Part>
        </>
      )}
    </Stack>
  );
}

function Standing({ queue, onChanged }: { queue: QueueDetail; onChanged: () => void }) {
  const mayAdmin = useMay("admin");
  return (
    <>
      <BigNumbers queue={queue} />
      <Part title="Over time" aside="since this page was opened, ten minutes at most">
        <Chart label={`Jobs in ${queue.name}`} samples={queueHistory.of(queue.name)} series={WAITING_AND_ACTIVE} />
      </Part>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Part title="Live workers" aside="of bullflow and of BullMQ itself">
          <WorkersTable workers={queue.workerList} />
        </Part>
        <Part title="Limits" aside="for all workers together">
          {mayAdmin ? <LimitsForm queue={queue} onChanged={onChanged} /> : <Limits queue={queue} />}
        </Part>
      </SimpleGrid>
    </>
  );
}

function BigNumbers({ queue }: { queue: QueueDetail }) {
  const { counts } = queue;
  const numbers: [string, number][] = [
    ["Active", counts.active ?? 0],
    ["Waiting", waitingIn(queue)],
    ["Delayed", counts.delayed ?? 0],
    ["Waiting for children", counts["waiting-children"] ?? 0],
    ["Failed, still kept", counts.failed ?? 0],
    ["Workers", queue.workers],
  ];
  return (
    <SimpleGrid component="dl" cols={{ base: 2, xs: 3, md: 6 }} spacing="sm" m={0}>
      {numbers.map(([word, value]) => (
        <Paper key={word} withBorder p="sm" style={{ display: "flex", flexDirection: "column-reverse", justifyContent: "flex-end" }}>
          <Text component="dt" size="xs" c="dimmed">
            {word}
          </Text>
          <Text component="dd" m={0} fz={26} fw={600} lh={1.2} style={{ fontVariantNumeric: "tabular-nums" }}>
            {value.toLocaleString()}
          </Text>
        </Paper>
      ))}
    </SimpleGrid>
  );
}

function Part({ title, aside, children }: { title: string; aside?: string; children: ReactNode }) {
  const id = useId();
  return (
    <Paper withBorder p="md" component="section" aria-labelledby={id} style={{ minWidth: 0 }}>
      <Group gap="xs" mb="sm" align="baseline">
        <Title order={2} size="h5" id={id}>
          {title}
        </Title>
        {aside !== undefined && (
          <Text size="xs" c="dimmed">
            {aside}
          </Text>
        )}
      </Group>
      {children}
    </Paper>
  );
}

function Waiting() {
  return (
    <Stack role="status" aria-busy="true">
      <span className="visually-hidden">The queue is loading</span>
      <Slow />
      <Skeleton height={76} />
      <Skeleton height={220} />
    </Stack>
  );
}

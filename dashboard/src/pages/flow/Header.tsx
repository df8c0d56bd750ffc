/** What a flow is and how it stands. */
import { Anchor, Badge, Group, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { hasEnded, JOB_STATUSES, type Flow, type JobStatus } from "../../api/types";
import { Id } from "../../parts/copy";
import { PageTitle } from "../../parts/heading";
import { CountsBar, CountsRow, StatusBadge } from "../../parts/status";
import { Duration, durationText, Instant, useNow } from "../../parts/time";
import { Actions } from "./actions/Actions";

interface HeaderProps {
  flow: Flow;
  /** How many jobs are in each state, by the order of `JOB_STATUSES`. */
  counts: readonly number[];
}

export function Header({ flow, counts }: HeaderProps) {
  const byStatus = byName(counts);
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-start" gap="sm">
        <Group gap="sm" style={{ minWidth: 0 }}>
          <PageTitle>{flow.name}</PageTitle>
          <span role="status">
            <StatusBadge status={flow.status} size="lg" />
          </span>
        </Group>
        <Actions flowId={flow.id} name={flow.name} status={flow.status} />
      </Group>
      <Group gap="xs">
        <Id id={flow.id} what="the flow's id" />
        {flow.tags.map((tag) => (
          <Badge key={tag} variant="default" radius="sm" tt="none" fw={500} maw="100%" title={tag}>
            {tag}
          </Badge>
        ))}
      </Group>
      <Facts flow={flow} />
      <CountsBar counts={byStatus} label="Jobs" />
      <CountsRow counts={byStatus} />
    </Stack>
  );
}

function Facts({ flow }: { flow: Flow }) {
  return (
    <Group component="dl" gap="xl" m={0} align="flex-start" style={{ rowGap: "var(--mantine-spacing-xs)" }}>
      <Fact word="Queue">
        <Anchor component={Link} href={`/queues/${encodeURIComponent(flow.queueName)}`} size="sm" style={{ overflowWrap: "anywhere" }}>
          {flow.queueName}
        </Anchor>
      </Fact>
      <Fact word="Created">
        <Instant at={flow.createdAt} size="sm" />
      </Fact>
      <Fact word={hasEnded(flow.status) ? "Took" : "Runs for"}>
        <Duration from={flow.createdAt} to={flow.finishedAt ?? null} size="sm" />
      </Fact>
      {flow.deadline != null && (
        <Fact word="Deadline">
          <Instant at={flow.deadline} size="sm" />
          {!hasEnded(flow.status) && <TimeLeft until={flow.deadline} />}
        </Fact>
      )}
      {flow.failFast && (
        <Fact word="Fails fast">
          <Text size="sm" span>
            yes
          </Text>
        </Fact>
      )}
    </Group>
  );
}

function Fact({ word, children }: { word: string; children: ReactNode }) {
  return (
    <div style={{ minWidth: 0 }}>
      <Text component="dt" size="xs" c="dimmed">
        {word}
      </Text>
      <Text component="dd" size="sm" m={0}>
        {children}
      </Text>
    </div>
  );
}

function TimeLeft({ until }: { until: string }) {
  const left = Date.parse(until) - useNow(1_000);
  return (
    <Text span size="sm" c="dimmed">
      {left > 0 ? ` (in ${durationText(left)})` : " (now)"}
    </Text>
  );
}

function byName(counts: readonly number[]): Partial<Record<JobStatus, number>> {
  return Object.fromEntries(JOB_STATUSES.map((status, place) => [status, counts[place] ?? 0]));
}

/** One flow as a card, for narrow screens. */
import { Group, Paper, Text } from "@mantine/core";
import { memo } from "react";
import { useLocation } from "wouter";
import { Id } from "../../parts/copy";
import { CountsBar, StatusBadge } from "../../parts/status";
import { Duration, Instant } from "../../parts/time";
import { addressOf, isMeant, isSame, jobsOf, Left, Name, Tags } from "./FlowRow";
import classes from "./flows.module.css";
import type { Row } from "./rows";

export const FlowCard = memo(Card, isSame);

function Card({ row: { flow, matches } }: { row: Row }) {
  const [, go] = useLocation();
  const jobs = jobsOf(flow);
  return (
    <Paper
      withBorder
      p="sm"
      className={classes.card}
      data-left={!matches || undefined}
      onClick={(event) => isMeant(event) && go(addressOf(flow))}
    >
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Name flow={flow} />
        {!matches && <Left />}
        <div className={classes.whole}>
          <StatusBadge status={flow.status} size="sm" />
        </div>
      </Group>
      <CountsBar counts={flow.counts} label="Jobs" />
      <Group gap="xs" wrap="nowrap" justify="space-between">
        <Text size="sm" truncate>
          {jobs === 1 ? "1 job" : `${jobs.toLocaleString()} jobs`} on {flow.queueName}
        </Text>
        <Duration from={flow.createdAt} to={flow.finishedAt ?? null} size="sm" className={classes.whole} />
      </Group>
      <Group gap="xs" wrap="nowrap" justify="space-between">
        <div className={classes.whole}>
          <Id id={flow.id} what="the flow's id" short />
        </div>
        <Tags tags={flow.tags ?? []} />
        <Instant at={flow.createdAt} ago size="sm" c="dimmed" className={classes.whole} />
      </Group>
    </Paper>
  );
}

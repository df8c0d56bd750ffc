/** What will be made: how many jobs, on which queues, and how they hang together. */
import { Badge, Group, Paper, Text, Title } from "@mantine/core";
import { useMemo } from "react";
import classes from "./create.module.css";
import { outlineOf } from "./outline";
import type { Check } from "./useCheck";

const MOST_LINES = 40;
const MOST_QUEUES = 6;
/** Deeper levels are no longer moved to the right. */
const DEEPEST = 8;

export function Preview({ check }: { check: Check }) {
  const { value, isJson } = check.reading;
  const { lines, isCut } = useMemo(() => outlineOf(value, MOST_LINES), [value]);
  return (
    <Paper withBorder p="sm" component="section" aria-label="What will be created">
      <Title order={2} size="h5" mb="xs">
        What will be created
      </Title>
      <Summary check={check} />
      {isJson && (
        <ul className={classes.outline}>
          {lines.map((line, place) => (
            <li key={place} style={{ paddingLeft: Math.min(line.depth, DEEPEST) * 14 }} aria-level={line.depth + 1}>
              <span className={classes.job} title={line.name}>
                {line.name}
              </span>
              {line.times > 1 && <Text span size="xs" c="dimmed">× {line.times.toLocaleString()}</Text>}
              <Text span size="xs" c="dimmed" className={classes.queue} title={line.queueName}>
                {line.queueName}
              </Text>
            </li>
          ))}
          {isCut && (
            <li>
              <Text span size="xs" c="dimmed">
                … and more
              </Text>
            </li>
          )}
        </ul>
      )}
    </Paper>
  );
}

function Summary({ check }: { check: Check }) {
  const { checked } = check;
  if (checked === null) {
    return (
      <Text size="sm" c="dimmed">
        {check.state === "bad" ? "Nothing, as it stands." : check.state === "unasked" ? "Not checked yet." : "…"}
      </Text>
    );
  }
  const others = checked.queues.length - MOST_QUEUES;
  return (
    <Group gap={6}>
      <Text size="sm" fw={600}>
        {sizeOf(checked)}
      </Text>
      {checked.queues.slice(0, MOST_QUEUES).map((queue) => (
        <Badge key={queue} variant="default" size="sm" radius="sm" tt="none" fw={400} maw={180} title={queue}>
          {queue}
        </Badge>
      ))}
      {others > 0 && <Text size="xs" c="dimmed">and {others} more queues</Text>}
    </Group>
  );
}

export function sizeOf({ jobs, depth }: { jobs: number; depth: number }): string {
  return `${jobs.toLocaleString()} ${jobs === 1 ? "job" : "jobs"}, ${depth.toLocaleString()} ${depth === 1 ? "level" : "levels"}`;
}

/** States as badges, and many jobs as one bar. */
import { Badge, Group, Progress, Text, Tooltip } from "@mantine/core";
import { JOB_STATUSES, type FlowStatus, type JobStatus } from "../api/types";
import { LOOKS } from "../theme";

export function StatusBadge({ status, size = "md" }: { status: FlowStatus | JobStatus; size?: "sm" | "md" | "lg" }) {
  const { color, icon: Sign, word } = LOOKS[status];
  return (
    <Badge variant="light" color={color} size={size} radius="sm" leftSection={<Sign size={12} aria-hidden />} tt="none">
      {word}
    </Badge>
  );
}

export function StatusIcon({ status, size = 16 }: { status: FlowStatus | JobStatus; size?: number }) {
  const { color, icon: Sign, word } = LOOKS[status];
  return <Sign size={size} color={`var(--mantine-color-${color}-filled)`} aria-label={word} role="img" />;
}

type Counts = Partial<Record<JobStatus, number>>;

/** How many jobs are in each state: a bar with what has ended at its left. */
export function CountsBar({ counts, label }: { counts: Counts; label: string }) {
  const order: JobStatus[] = ["completed", "failed", "cancelled", "active"];
  const total = JOB_STATUSES.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const words = JOB_STATUSES.filter((status) => counts[status]).map((status) => `${counts[status]} ${LOOKS[status].word}`);
  return (
    <Tooltip label={words.join(", ")} withArrow multiline maw={320}>
      <Progress.Root size="md" role="group" aria-label={`${label}: ${words.join(", ")}`}>
        {order.map((status) => (
          <Progress.Section
            key={status}
            value={total === 0 ? 0 : (100 * (counts[status] ?? 0)) / total}
            color={LOOKS[status].color}
            animated={status === "active"}
            striped={status === "active"}
            aria-label={`${counts[status] ?? 0} of ${total} ${LOOKS[status].word}`}
          />
        ))}
      </Progress.Root>
    </Tooltip>
  );
}

/** The counts that are not 0, each with its icon. */
export function CountsRow({ counts }: { counts: Counts }) {
  return (
    <Group gap="sm" wrap="wrap">
      {JOB_STATUSES.filter((status) => counts[status]).map((status) => (
        <Group key={status} gap={4} wrap="nowrap">
          <StatusIcon status={status} size={14} />
          <Text size="sm" span>
            {(counts[status] ?? 0).toLocaleString()} <Text span c="dimmed" size="sm">{LOOKS[status].word}</Text>
          </Text>
        </Group>
      ))}
    </Group>
  );
}

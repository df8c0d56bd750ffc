/** What the table and the cards of queues have in common. */
import { Anchor, Badge, Group, Text } from "@mantine/core";
import { IconPlayerPause, IconUserOff } from "@tabler/icons-react";
import { Link } from "wouter";
import type { Queue } from "../../api/types";
import { Sparkline } from "../../parts/sparkline";
import { durationText } from "../../parts/time";
import { queueHistory, queuePath, WAITING_AND_ACTIVE } from "./asking";
import { limitsInWords } from "./limits";

export function QueueName({ queue }: { queue: Queue }) {
  return (
    <Group gap="xs">
      <Anchor component={Link} href={queuePath(queue.name)} fw={600} size="sm" style={{ overflowWrap: "anywhere" }}>
        {queue.name}
      </Anchor>
      {queue.paused && <Paused />}
    </Group>
  );
}

export function Paused({ size = "sm" }: { size?: "sm" | "lg" }) {
  return (
    <Badge variant="light" color="orange" size={size} radius="sm" tt="none" leftSection={<IconPlayerPause size={12} aria-hidden />}>
      paused
    </Badge>
  );
}

/** A number for a narrow column; 0 stands back. */
export function Amount({ value }: { value: number }) {
  return (
    <Text span size="sm" c={value === 0 ? "dimmed" : undefined} style={{ fontVariantNumeric: "tabular-nums" }}>
      {value.toLocaleString()}
    </Text>
  );
}

export function Workers({ queue }: { queue: Queue }) {
  if (queue.workers > 0) return <Amount value={queue.workers} />;
  return (
    <Badge variant="light" color="orange" size="sm" radius="sm" tt="none" miw="max-content" leftSection={<IconUserOff size={12} aria-hidden />}>
      none
    </Badge>
  );
}

export function Limits({ queue }: { queue: Queue }) {
  const limits = limitsInWords(queue);
  return (
    <Text span size="sm" c={limits.length === 0 ? "dimmed" : undefined}>
      {limits.length === 0 ? "none" : limits.join(", ")}
      {queue.limitedFor !== null && (
        <Text span size="sm" c="dimmed">
          {" "}
          (next in {durationText(queue.limitedFor)})
        </Text>
      )}
    </Text>
  );
}

export function QueueSparkline({ queue }: { queue: Queue }) {
  return <Sparkline label={`Jobs in ${queue.name}`} samples={queueHistory.of(queue.name)} series={WAITING_AND_ACTIVE} />;
}

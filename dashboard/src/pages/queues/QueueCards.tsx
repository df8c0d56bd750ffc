import { Group, Paper, Stack, Text } from "@mantine/core";
import type { Queue } from "../../api/types";
import { CountsRow } from "../../parts/status";
import { Limits, QueueName, QueueSparkline, Workers } from "./cells";

/** All queues for a narrow window. */
export function QueueCards({ queues }: { queues: readonly Queue[] }) {
  return (
    <Stack component="ul" gap="sm" m={0} p={0} style={{ listStyle: "none" }} aria-label="Queues">
      {queues.map((queue) => (
        <Paper component="li" key={queue.name} withBorder p="sm">
          <Stack gap="xs">
            <QueueName queue={queue} />
            <CountsRow counts={queue.counts} />
            <Group gap="lg">
              <Group gap={6}>
                <Text size="sm" c="dimmed">
                  Workers
                </Text>
                <Workers queue={queue} />
              </Group>
              <Group gap={6}>
                <Text size="sm" c="dimmed">
                  Limits
                </Text>
                <Limits queue={queue} />
              </Group>
            </Group>
            <QueueSparkline queue={queue} />
          </Stack>
        </Paper>
      ))}
    </Stack>
  );
}

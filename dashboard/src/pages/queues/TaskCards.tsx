import { Group, Stack, Text } from "@mantine/core";
import type { QueueTask } from "../../api/types";
import { durationText } from "../../parts/time";
import { Slowest } from "./TasksTable";

/** Jobs by name, what runs longest first, for a narrow window. */
export function TaskCards({ tasks }: { tasks: readonly QueueTask[] }) {
  return (
    <Stack component="ul" gap="md" m={0} p={0} style={{ listStyle: "none" }} aria-label="Jobs by name, the slowest first">
      {tasks.map((task) => (
        <Stack component="li" key={task.name} gap={2}>
          <Group justify="space-between" wrap="nowrap" align="baseline">
            <Text size="sm" fw={600} style={{ overflowWrap: "anywhere" }}>
              {task.name}
            </Text>
            <Text size="sm" style={{ whiteSpace: "nowrap" }}>
              slowest <Slowest task={task} />
            </Text>
          </Group>
          <Text size="sm" c="dimmed">
            {task.count.toLocaleString()} {task.count === 1 ? "job" : "jobs"}, {task.failed.toLocaleString()} failed
          </Text>
          <Text size="sm">
            Waits {spreadText(task.waiting)}; runs {spreadText(task.running)}
          </Text>
        </Stack>
      ))}
    </Stack>
  );
}

function spreadText({ median, p95 }: QueueTask["waiting"]): string {
  if (median === null) return "–";
  return p95 === null ? durationText(median) : `${durationText(median)} (95 %: ${durationText(p95)})`;
}

/** How long the jobs of each name wait and run. It comes from the store, so it stands while the engine is away. */
import { Skeleton, Stack, Text } from "@mantine/core";
import { ProblemAlert } from "../../parts/problem";
import { useTasks } from "./asking";
import { TaskCards } from "./TaskCards";
import { TasksTable } from "./TasksTable";
import { useIsWide } from "./useIsWide";

export function SlowTasks({ name }: { name: string }) {
  const { data, error } = useTasks(name);
  const isWide = useIsWide();
  if (data === undefined) return error === null ? <Skeleton height={90} role="status" aria-label="Loading" /> : <ProblemAlert error={error} />;
  if (data.items.length === 0) return <Text size="sm">No job of your flows has run here yet.</Text>;
  return (
    <Stack gap="xs">
      {isWide ? <TasksTable tasks={data.items} /> : <TaskCards tasks={data.items} />}
      <Text size="xs" c="dimmed">
        Of {data.jobs.toLocaleString()} {data.jobs === 1 ? "job" : "jobs"} in your newest flows. A parent waits while its children run. Half of
        the jobs took the median at most, 95 of 100 the other.
      </Text>
    </Stack>
  );
}

import { Anchor, Skeleton, Stack, Table, Text } from "@mantine/core";
import { Link } from "wouter";
import { ProblemAlert } from "../../parts/problem";
import { durationText } from "../../parts/time";
import { useTasks, type QueueTask } from "./asking";
import { Amount } from "./cells";

/** How long the jobs of each name wait and run, what runs longest first. From the store, so it stands while the engine is away. */
export function SlowTasks({ name }: { name: string }) {
  const { data, error } = useTasks(name);
  if (data === undefined) return error === null ? <Skeleton height={90} role="status" aria-label="Loading" /> : <ProblemAlert error={error} />;
  if (data.items.length === 0) return <Text size="sm">No job of your flows has run here yet.</Text>;
  return (
    <Stack gap="xs">
      <Table.ScrollContainer minWidth={640} type="native" tabIndex={0} role="region" aria-label="What is slow">
        <Table verticalSpacing={6} horizontalSpacing="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th rowSpan={2}>Name</Table.Th>
              <Table.Th rowSpan={2} ta="right">
                Jobs
              </Table.Th>
              <Table.Th rowSpan={2} ta="right">
                Failed
              </Table.Th>
              <Table.Th colSpan={2} ta="center">
                Waits
              </Table.Th>
              <Table.Th colSpan={2} ta="center">
                Runs
              </Table.Th>
              <Table.Th rowSpan={2} ta="right">
                Slowest
              </Table.Th>
            </Table.Tr>
            <Table.Tr>
              {["Wait, median", "Wait, 95 %", "Run, median", "Run, 95 %"].map((word) => (
                <Table.Th key={word} ta="right" aria-label={word}>
                  {word.split(", ")[1]}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {data.items.map((task) => (
              <Row key={task.name} task={task} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="dimmed">
        Of {data.jobs.toLocaleString()} {data.jobs === 1 ? "job" : "jobs"} in your newest flows. A parent waits while its children run. Half of the jobs
        were as fast as the median, 95 of 100 as the other.
      </Text>
    </Stack>
  );
}

function Row({ task }: { task: QueueTask }) {
  return (
    <Table.Tr>
      <Table.Td fw={500} maw={260} style={{ overflowWrap: "anywhere" }}>
        {task.name}
      </Table.Td>
      <Table.Td ta="right">
        <Amount value={task.count} />
      </Table.Td>
      <Table.Td ta="right">
        <Amount value={task.failed} />
      </Table.Td>
      {[task.waiting.median, task.waiting.p95, task.running.median, task.running.p95].map((value, place) => (
        <Table.Td key={place} ta="right" style={{ whiteSpace: "nowrap" }}>
          {value === null ? "–" : durationText(value)}
        </Table.Td>
      ))}
      <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
        {task.slowest === null ? (
          "–"
        ) : (
          <Anchor
            component={Link}
            href={`/flows/${encodeURIComponent(task.slowest.flowId)}?job=${encodeURIComponent(task.slowest.id)}`}
            size="sm"
            aria-label={`The slowest ${task.name}: ${durationText(task.slowest.running)}`}
          >
            {durationText(task.slowest.running)}
          </Anchor>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

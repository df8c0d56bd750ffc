import { Anchor, Table } from "@mantine/core";
import { Link } from "wouter";
import type { QueueTask } from "../../api/types";
import { durationText } from "../../parts/time";
import { Amount } from "./cells";

/** Jobs by name, what runs longest first, for a wide window. */
export function TasksTable({ tasks }: { tasks: readonly QueueTask[] }) {
  return (
    <Table verticalSpacing={6} horizontalSpacing="sm" aria-label="Jobs by name, the slowest first">
      <Table.Thead>
        <Table.Tr>
          <Table.Th rowSpan={2}>Name</Table.Th>
          <Table.Th rowSpan={2} ta="right">
            Jobs
          </Table.Th>
          <Table.Th rowSpan={2} ta="right">
            Failed
          </Table.Th>
          <Table.Th colSpan={2} ta="right">
            Waits
          </Table.Th>
          <Table.Th colSpan={2} ta="right">
            Runs
          </Table.Th>
          <Table.Th rowSpan={2} ta="right">
            Slowest
          </Table.Th>
        </Table.Tr>
        <Table.Tr>
          {["Waits, median", "Waits, 95 %", "Runs, median", "Runs, 95 %"].map((words) => (
            <Table.Th key={words} ta="right" fw={400} aria-label={words}>
              {words.split(", ")[1]}
            </Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {tasks.map((task) => (
          <Row key={task.name} task={task} />
        ))}
      </Table.Tbody>
    </Table>
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
        <Slowest task={task} />
      </Table.Td>
    </Table.Tr>
  );
}

/** How long the slowest job ran; leads to it in its flow. */
export function Slowest({ task: { name, slowest } }: { task: QueueTask }) {
  if (slowest === null) return "–";
  const text = durationText(slowest.running);
  return (
    <Anchor
      component={Link}
      href={`/flows/${encodeURIComponent(slowest.flowId)}?job=${encodeURIComponent(slowest.id)}`}
      size="sm"
      underline="always"
      aria-label={`${text}: show the slowest ${name}`}
    >
      {text}
    </Anchor>
  );
}

import { Group, Table, Text } from "@mantine/core";
import type { Queue } from "../../api/types";
import { WAITING_AND_ACTIVE, waitingIn } from "./asking";
import { Amount, Limits, QueueName, QueueSparkline, Workers } from "./cells";

const NUMBERS: readonly { word: string; of: (queue: Queue) => number; title: string }[] = [
  { word: "Active", of: ({ counts }) => counts.active ?? 0, title: "Jobs that run" },
  { word: "Waiting", of: waitingIn, title: "Jobs that could begin, those with a priority included" },
  { word: "Delayed", of: ({ counts }) => counts.delayed ?? 0, title: "Jobs whose time has not come" },
  { word: "Parents", of: ({ counts }) => counts["waiting-children"] ?? 0, title: "Jobs that wait for their children" },
  { word: "Completed", of: ({ counts }) => counts.completed ?? 0, title: "As far as the engine still keeps them" },
  { word: "Failed", of: ({ counts }) => counts.failed ?? 0, title: "As far as the engine still keeps them" },
];

/** All queues for a wide window. */
export function QueuesTable({ queues }: { queues: readonly Queue[] }) {
  return (
    <Table verticalSpacing="xs" highlightOnHover aria-label="Queues">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Queue</Table.Th>
          {NUMBERS.map(({ word, title }) => (
            <Table.Th key={word} ta="right" title={title}>
              {word}
            </Table.Th>
          ))}
          <Table.Th ta="right">Workers</Table.Th>
          <Table.Th>Limits</Table.Th>
          <Table.Th w={190}>
            <Group gap={8} wrap="nowrap">
              {WAITING_AND_ACTIVE.map(({ word, color, isDashed }) => (
                <Text key={word} size="xs" span style={{ whiteSpace: "nowrap" }}>
                  <svg width={16} height={6} aria-hidden style={{ marginRight: 4, verticalAlign: "middle" }}>
                    <path d="M1 3H15" stroke={color} strokeWidth={2} strokeDasharray={isDashed ? "4 3" : undefined} />
                  </svg>
                  {word}
                </Text>
              ))}
            </Group>
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {queues.map((queue) => (
          <Table.Tr key={queue.name}>
            <Table.Td>
              <QueueName queue={queue} />
            </Table.Td>
            {NUMBERS.map(({ word, of }) => (
              <Table.Td key={word} ta="right">
                <Amount value={of(queue)} />
              </Table.Td>
            ))}
            <Table.Td ta="right">
              <Workers queue={queue} />
            </Table.Td>
            <Table.Td>
              <Limits queue={queue} />
            </Table.Td>
            <Table.Td>
              <QueueSparkline queue={queue} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

import { Table, Text } from "@mantine/core";
import type { QueueDetail } from "../../api/types";
import { durationText } from "../../parts/time";

/** Who is connected to the engine and takes jobs of a queue. */
export function WorkersTable({ workers }: { workers: QueueDetail["workerList"] }) {
  if (workers.length === 0) {
    return (
      <Text size="sm">
        None. Jobs wait until one starts: <code>bullflow worker MODULE:WORKER</code>.
      </Text>
    );
  }
  return (
          <Table verticalSpacing={6} horizontalSpacing="xs" aria-label="Live workers">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Worker</Table.Th>
            <Table.Th ta="right" title="Since it has connected">
              Age
            </Table.Th>
            <Table.Th ta="right" title="Since it last said something by this connection">
              Idle
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {workers.map((worker) => (
            <Table.Tr key={`${worker.name} ${worker.address}`}>
              <Table.Td style={{ overflowWrap: "anywhere" }}>
                <Text size="sm">{worker.name ?? "unnamed"}</Text>
                <Text size="xs" c="dimmed">
                  {worker.address}
                </Text>
              </Table.Td>
              <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
                {durationText(worker.age * 1_000)}
              </Table.Td>
              <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
                {durationText(worker.idle * 1_000)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
  );
}

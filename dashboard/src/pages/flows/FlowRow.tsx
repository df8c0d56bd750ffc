/** One flow as a line of the table. */
import { Anchor, Badge, Group, Table, Text, Tooltip, type MantineBreakpoint } from "@mantine/core";
import { memo, type MouseEvent } from "react";
import { Link, useLocation } from "wouter";
import type { Flow } from "../../api/types";
import { Id } from "../../parts/copy";
import { CountsBar, StatusBadge } from "../../parts/status";
import { Duration, Instant } from "../../parts/time";
import classes from "./flows.module.css";
import type { Row } from "./rows";

interface Column {
  word: string;
  width?: number;
  /** Left out on narrower screens. */
  from?: MantineBreakpoint;
}

export const COLUMNS: readonly Column[] = [
  { word: "Status", width: 128 },
  { word: "Name" },
  { word: "Progress", width: 104 },
  { word: "Jobs", width: 60 },
  { word: "Queue", width: 112, from: "md" },
  { word: "Tags", width: 124, from: "lg" },
  { word: "Duration", width: 104 },
  { word: "Age", width: 104 },
  { word: "Id", width: 126, from: "md" },
];
/** Tags are shown as long as they have no more characters together; the first always. */
const TAGS_LENGTH = 12;
const MOST_TAGS = 2;

export const FlowRow = memo(FlowLine, isSame);

/** A row is made anew with every change of the list; what it shows may be the same. */
export function isSame(one: { row: Row; place?: number }, other: { row: Row; place?: number }): boolean {
  return one.row.flow === other.row.flow && one.row.matches === other.row.matches && one.place === other.place;
}

function FlowLine({ row: { flow, matches }, place }: { row: Row; place: number }) {
  const [, go] = useLocation();
  const open = (event: MouseEvent<HTMLElement>) => {
    if (isMeant(event)) go(addressOf(flow));
  };
  return (
    <Table.Tr aria-rowindex={place} className={classes.row} data-left={!matches || undefined} onClick={open}>
      <Table.Td>
        <StatusBadge status={flow.status} />
      </Table.Td>
      <Table.Td>
        <Name flow={flow} />
        {!matches && <Left />}
      </Table.Td>
      <Table.Td>
        <CountsBar counts={flow.counts} label="Jobs" />
      </Table.Td>
      <Table.Td className={classes.number}>{jobsOf(flow).toLocaleString()}</Table.Td>
      <Table.Td visibleFrom="md">
        <Text size="sm" truncate title={flow.queueName}>
          {flow.queueName}
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="lg">
        <Tags tags={flow.tags ?? []} />
      </Table.Td>
      <Table.Td>
        <Duration from={flow.createdAt} to={flow.finishedAt ?? null} size="sm" />
      </Table.Td>
      <Table.Td>
        <Instant at={flow.createdAt} ago size="sm" c="dimmed" />
      </Table.Td>
      <Table.Td visibleFrom="md">
        <Id id={flow.id} what="the flow's id" short />
      </Table.Td>
    </Table.Tr>
  );
}

export function Name({ flow }: { flow: Flow }) {
  return (
    <Anchor component={Link} href={addressOf(flow)} data-flow={flow.id} className={classes.name} title={flow.name} size="sm" fw={500}>
      {flow.name}
    </Anchor>
  );
}

export function Left() {
  return <span className="visually-hidden">No longer matches the filters</span>;
}

/** The first tags, and how many more there are. */
export function Tags({ tags }: { tags: readonly string[] }) {
  const fitting = tags.filter((_, place) => tags.slice(0, place + 1).join("").length <= TAGS_LENGTH).length;
  const shown = Math.min(Math.max(1, fitting), MOST_TAGS);
  const rest = tags.slice(shown);
  return (
    <Group gap={4} wrap="nowrap" miw={0}>
      {tags.slice(0, shown).map((tag) => (
        <Badge key={tag} variant="default" size="sm" radius="sm" tt="none" fw={400} miw={28} title={tag}>
          {tag}
        </Badge>
      ))}
      {rest.length > 0 && (
        <Tooltip label={rest.join(", ")} withArrow multiline maw={300}>
          <Text size="xs" c="dimmed" tabIndex={0} aria-label={`and ${rest.join(", ")}`} role="note">
            +{rest.length}
          </Text>
        </Tooltip>
      )}
    </Group>
  );
}

export function jobsOf(flow: Flow): number {
  return Object.values(flow.counts).reduce((sum, count) => sum + (count ?? 0), 0);
}

export function addressOf(flow: Flow): string {
  return `/flows/${encodeURIComponent(flow.id)}`;
}

/** Whether a click on a row means the row, and not a thing on it, a new tab, or a text that is being marked. */
export function isMeant(event: MouseEvent<HTMLElement>): boolean {
  const isOnThing = (event.target as HTMLElement).closest("a, button, [role=note]") !== null;
  return !isOnThing && !event.metaKey && !event.ctrlKey && !event.shiftKey && getSelection()?.toString() === "";
}

/** The fields that narrow the list. What is typed counts after a pause, what is picked at once. */
import { Autocomplete, Box, Button, Collapse, Group, Input, Popover, Select, SimpleGrid, TextInput } from "@mantine/core";
import { useDebouncedCallback, useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { IconCalendarTime, IconFilter, IconFilterOff } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { get } from "../../api/rest";
import { FLOW_STATUSES, type QueuePage } from "../../api/types";
import { LOOKS } from "../../theme";
import { countOf, fieldOf, momentOf, NO_FILTERS, type Filters } from "./filters";
import { useIsNarrow } from "./useIsNarrow";

const TYPING_MS = 350;
const SHORTCUTS = [
  { word: "Last hour", ms: 3_600_000 },
  { word: "Last day", ms: 86_400_000 },
  { word: "Last week", ms: 7 * 86_400_000 },
];

interface FilterBarProps {
  filters: Filters;
  /** `isTyped`: somebody is still at it, so that the steps between are not worth going back to. */
  onChange: (filters: Filters, isTyped?: boolean) => void;
}

export function FilterBar({ filters, onChange }: FilterBarProps) {
  const isNarrow = useIsNarrow();
  const [isOpen, { toggle }] = useDisclosure(false);
  const count = countOf(filters);
  const reset = (
    <Button
      variant="subtle"
      leftSection={<IconFilterOff size={16} aria-hidden />}
      disabled={count === 0}
      onClick={() => onChange(NO_FILTERS)}
    >
      Reset
    </Button>
  );
  const fields = <Fields filters={filters} onChange={onChange} />;
  return (
    <Box component="search" aria-label="Filters">
      {isNarrow ? (
        <>
          <Group justify="space-between">
            <Button variant="default" leftSection={<IconFilter size={16} aria-hidden />} onClick={toggle} aria-expanded={isOpen}>
              {count === 0 ? "Filters" : `Filters (${count})`}
            </Button>
            {count > 0 && reset}
          </Group>
          <Collapse expanded={isOpen}>
            <Box pt="xs">{fields}</Box>
          </Collapse>
        </>
      ) : (
        <Group gap="xs" align="flex-end" wrap="nowrap">
          <Box flex={1}>{fields}</Box>
          {reset}
        </Group>
      )}
    </Box>
  );
}

function Fields({ filters, onChange }: FilterBarProps) {
  const typed = (change: Partial<Filters>) => onChange({ ...filters, ...change }, true);
  const picked = (change: Partial<Filters>) => onChange({ ...filters, ...change });
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, md: 5 }} spacing="xs" verticalSpacing="xs">
      <Select
        label="Status"
        placeholder="Any"
        clearable
        data={FLOW_STATUSES.map((status) => ({ value: status, label: LOOKS[status].word }))}
        value={filters.status}
        onChange={(status) => picked({ status: FLOW_STATUSES.find((known) => known === status) ?? null })}
      />
      <TypedField label="Name" placeholder="The whole name" most={200} value={filters.name} onType={(name) => typed({ name })} />
      <QueueField value={filters.queueName} onType={(queueName) => typed({ queueName })} />
      <TypedField label="Tag" placeholder="Any" most={64} value={filters.tag} onType={(tag) => typed({ tag })} />
      <Created filters={filters} onChange={onChange} />
    </SimpleGrid>
  );
}

/** A text that is told after a pause; one that comes from the address replaces what stands there. */
function useTyped(value: string, onType: (text: string) => void): [string, (text: string) => void] {
  const [text, setText] = useState(value);
  const tell = useDebouncedCallback((typed: string) => onType(typed.trim()), TYPING_MS);
  useEffect(() => setText((typed) => (typed.trim() === value ? typed : value)), [value]);
  return [
    text,
    (typed) => {
      setText(typed);
      tell(typed);
    },
  ];
}

interface TypedFieldProps {
  label: string;
  placeholder: string;
  /** As many characters as the API takes. */
  most: number;
  value: string;
  onType: (text: string) => void;
}

function TypedField({ label, placeholder, most, value, onType }: TypedFieldProps) {
  const [text, type] = useTyped(value, onType);
  return (
    <TextInput
      label={label}
      placeholder={placeholder}
      maxLength={most}
      value={text}
      autoComplete="off"
      onChange={(event) => type(event.currentTarget.value)}
    />
  );
}

/** Queues are known to the engine: while it is away there is nothing to suggest, and any name can be typed. */
function QueueField({ value, onType }: Pick<TypedFieldProps, "value" | "onType">) {
  const [text, type] = useTyped(value, onType);
  const { data } = useQuery({
    queryKey: ["queue names"],
    queryFn: ({ signal }) => get<QueuePage>("/queues", { limit: 500 }, signal),
    staleTime: 30_000,
    retry: false,
  });
  return (
    <Autocomplete
      label="Queue"
      placeholder="Any"
      maxLength={128}
      data={[...new Set(data?.items.map((queue) => queue.name))]}
      limit={50}
      value={text}
      onChange={type}
    />
  );
}

function Created({ filters, onChange }: FilterBarProps) {
  const { createdAfter, createdBefore } = filters;
  const [isOpen, { toggle, close }] = useDisclosure(false);
  const pick = (after: number | null) => {
    onChange({ ...filters, createdAfter: after === null ? "" : new Date(after).toISOString(), createdBefore: "" });
    close();
  };
  const typed = (change: Partial<Filters>) => onChange({ ...filters, ...change }, true);
  return (
    <Popover opened={isOpen} onDismiss={close} position="bottom-end" shadow="md" trapFocus returnFocus>
      <Input.Wrapper label="Created" labelElement="div">
        <Popover.Target>
          <Button
            variant="default"
            fullWidth
            fw={400}
            justify="space-between"
            rightSection={<IconCalendarTime size={16} aria-hidden />}
            styles={{ label: { overflow: "hidden", textOverflow: "ellipsis" } }}
            aria-label={`Created: ${rangeText(createdAfter, createdBefore)}`}
            onClick={toggle}
          >
            {rangeText(createdAfter, createdBefore)}
          </Button>
        </Popover.Target>
      </Input.Wrapper>
      <Popover.Dropdown maw="calc(100vw - 2rem)" aria-label="When they were created">
        <Group gap="xs" mb="xs">
          {SHORTCUTS.map(({ word, ms }) => (
            <Button key={word} size="compact-sm" variant="light" onClick={() => pick(Date.now() - ms)}>
              {word}
            </Button>
          ))}
          <Button size="compact-sm" variant="subtle" onClick={() => pick(null)}>
            Any time
          </Button>
        </Group>
        <Moment label="After" value={createdAfter} onType={(moment) => typed({ createdAfter: moment })} />
        <Moment label="Before" value={createdBefore} onType={(moment) => typed({ createdBefore: moment })} />
      </Popover.Dropdown>
    </Popover>
  );
}

function Moment({ label, value, onType }: Pick<TypedFieldProps, "label" | "value" | "onType">) {
  const [text, type] = useTyped(fieldOf(value), (field) => onType(momentOf(field)));
  return (
    <TextInput
      type="datetime-local"
      step={1}
      label={label}
      mb={4}
      value={text}
      onChange={(event) => type(event.currentTarget.value)}
    />
  );
}

function rangeText(after: string, before: string): string {
  const text = (moment: string) => new Date(moment).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
  if (after !== "" && before !== "") return `${text(after)} – ${text(before)}`;
  if (after !== "") return `Since ${text(after)}`;
  return before === "" ? "Any time" : `Before ${text(before)}`;
}

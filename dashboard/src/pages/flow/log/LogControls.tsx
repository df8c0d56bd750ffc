import { Button, Checkbox, CloseButton, Group, NumberInput, Popover, Stack, Switch, TextInput } from "@mantine/core";
import { IconFilter, IconHash, IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import type { Filter } from "./filter";
import { EVENT_KINDS, EVENT_LOOKS, type EventKind } from "./looks";

interface LogControlsProps {
  filter: Filter;
  onFilter(filter: Filter): void;
  lastSeq: number;
  onJump(seq: number): void;
  isFollowing: boolean;
  onFollow(isOn: boolean): void;
}

export function LogControls({ filter, onFilter, lastSeq, onJump, isFollowing, onFollow }: LogControlsProps) {
  return (
    <Group gap="sm" justify="space-between">
      <Group gap="sm" style={{ flex: "1 1 280px" }} wrap="nowrap">
        <TextInput
          size="xs"
          style={{ flex: 1, maxWidth: 320 }}
          aria-label="Find by job name, id or error message"
          placeholder="Name, id or message"
          leftSection={<IconSearch size={14} aria-hidden />}
          value={filter.text}
          onChange={(event) => onFilter({ ...filter, text: event.currentTarget.value })}
          rightSection={
            filter.text !== "" && <CloseButton size="xs" aria-label="Clear the text" onClick={() => onFilter({ ...filter, text: "" })} />
          }
        />
        <Kinds chosen={filter.kinds} onChange={(kinds) => onFilter({ ...filter, kinds })} />
      </Group>
      <Group gap="sm" wrap="nowrap">
        <Jump lastSeq={lastSeq} onJump={onJump} />
        <Switch size="sm" label="Follow" checked={isFollowing} onChange={(event) => onFollow(event.currentTarget.checked)} />
      </Group>
    </Group>
  );
}

function Kinds({ chosen, onChange }: { chosen: readonly EventKind[]; onChange(kinds: EventKind[]): void }) {
  return (
    <Popover position="bottom-start" withArrow shadow="md" trapFocus>
      <Popover.Target>
        <Button size="xs" variant={chosen.length === 0 ? "default" : "light"} leftSection={<IconFilter size={14} aria-hidden />}>
          {chosen.length === 0 ? "All events" : `${chosen.length} of ${EVENT_KINDS.length} events`}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Kinds of events">
        <Checkbox.Group value={[...chosen]} onChange={(kinds) => onChange(kinds as EventKind[])} aria-label="Kinds of events">
          <Stack gap={8}>
            {EVENT_KINDS.map((kind) => (
              <Kind key={kind} kind={kind} />
            ))}
          </Stack>
        </Checkbox.Group>
        <Button mt="sm" size="compact-xs" variant="default" fullWidth disabled={chosen.length === 0} onClick={() => onChange([])}>
          All events
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}

function Kind({ kind }: { kind: EventKind }) {
  const { color, icon: Sign } = EVENT_LOOKS[kind];
  const label = (
    <Group gap={6} wrap="nowrap">
      <Sign size={14} color={`var(--mantine-color-${color}-filled)`} aria-hidden />
      {kind}
    </Group>
  );
  return <Checkbox size="xs" value={kind} label={label} />;
}

function Jump({ lastSeq, onJump }: { lastSeq: number; onJump(seq: number): void }) {
  const [seq, setSeq] = useState<number | string>("");
  return (
    <NumberInput
      size="xs"
      w={104}
      hideControls
      allowDecimal={false}
      allowNegative={false}
      min={1}
      max={lastSeq}
      aria-label="Go to the entry with this number (Enter)"
      placeholder="Go to"
      leftSection={<IconHash size={14} aria-hidden />}
      value={seq}
      onChange={setSeq}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || typeof seq !== "number") return;
        // The entry has the focus then, and the same key would open it.
        event.preventDefault();
        onJump(Math.max(1, Math.min(seq, lastSeq)));
      }}
    />
  );
}

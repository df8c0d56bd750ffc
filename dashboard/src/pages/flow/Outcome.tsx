/** How a flow has ended: its result, or why there is none. */
import { Alert, Box, Button, Collapse, Group, Skeleton, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconArrowRight, IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { memo, useId, useMemo } from "react";
import type { Flow } from "../../api/types";
import type { BoardJob } from "../../board/jobs";
import { Json } from "../../parts/json";
import { LOOKS } from "../../theme";

const SHOWN_AT_ONCE = 400;

interface OutcomeProps {
  flow: Flow;
  root: BoardJob | undefined;
  nameOf: (jobId: string) => string | undefined;
  onSelect: (jobId: string) => void;
}

export function Outcome({ flow, root, nameOf, onSelect }: OutcomeProps) {
  if (flow.status === "completed") {
    return flow.result === undefined ? <Skeleton height={36} role="status" aria-label="Loading" /> : <Result value={flow.result} />;
  }
  if (flow.error == null) return null;
  const { color, icon: Sign } = LOOKS[flow.status];
  const culprit = flow.error.originId ?? flow.error.childId ?? (root?.status === "failed" ? root.id : null);
  return (
    <Alert color={color} icon={<Sign aria-hidden />} title={flow.status === "failed" ? "It has failed" : undefined}>
      <Message text={flow.status === "failed" ? flow.error.message : capitalised(flow.error.message)} />
      {culprit !== null && (
        <Button variant="default" size="xs" mt="sm" maw="100%" rightSection={<IconArrowRight size={14} aria-hidden />} onClick={() => onSelect(culprit)}>
          {culprit === root?.id ? "Show the job" : `Show the job that failed first${named(nameOf(culprit))}`}
        </Button>
      )}
    </Alert>
  );
}

/** What a job has raised, in its own lines; a long one is scrolled. */
function Message({ text }: { text: string }) {
  const isLong = text.length > SHOWN_AT_ONCE || text.split("\n").length > 8;
  return (
    <Text
      size="sm"
      style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere", ...(isLong && { maxHeight: 200, overflow: "auto" }) }}
      {...(isLong && { tabIndex: 0, role: "group", "aria-label": "The error's message" })}
    >
      {text}
    </Text>
  );
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function named(name: string | undefined): string {
  return name === undefined ? "" : `: ${name}`;
}

const Result = memo(function Result({ value }: { value: unknown }) {
  const length = useMemo(() => (JSON.stringify(value) ?? "null").length, [value]);
  const [isOpen, { toggle }] = useDisclosure(length <= SHOWN_AT_ONCE);
  const id = useId();
  const Sign = isOpen ? IconChevronDown : IconChevronRight;
  return (
    <Box>
      <Group gap="xs">
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          c="var(--mantine-color-text)"
          leftSection={<Sign size={14} aria-hidden />}
          onClick={toggle}
          aria-expanded={isOpen}
          aria-controls={id}
        >
          Result
        </Button>
        {!isOpen && (
          <Text size="xs" c="dimmed">
            {length.toLocaleString()} characters
          </Text>
        )}
      </Group>
      <Collapse expanded={isOpen} id={id}>
        <Box pt={6}>{isOpen && <Json value={value} what="the result" />}</Box>
      </Collapse>
    </Box>
  );
});

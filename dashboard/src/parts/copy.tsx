import { ActionIcon, Code, CopyButton, Group, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";

/** A button that copies a text. */
export function Copy({ text, what }: { text: string; what: string }) {
  return (
    <CopyButton value={text} timeout={1_500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? "Copied" : `Copy ${what}`} withArrow>
          <ActionIcon variant="subtle" color={copied ? "teal" : "gray"} size="sm" onClick={copy} aria-label={`Copy ${what}`}>
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** Our ids begin with their time: what tells neighbours apart is their end. */
const SHORT_ID = 8;

/** An id that can be copied, whole also where it is shown short. */
export function Id({ id, what, short = false }: { id: string; what: string; short?: boolean }) {
  return (
    <Group gap={4} wrap="nowrap" display="inline-flex">
      <Code style={short ? { whiteSpace: "nowrap" } : { overflowWrap: "anywhere" }} title={short ? id : undefined}>
        {short ? `…${id.slice(-SHORT_ID)}` : id}
      </Code>
      <Copy text={id} what={what} />
    </Group>
  );
}

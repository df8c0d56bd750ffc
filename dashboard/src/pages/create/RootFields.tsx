/** The root's most frequent settings as fields. They and the text are one: what is set here is written there. */
import { NumberInput, Paper, Stack, Switch, TagsInput, TextInput, Title } from "@mantine/core";
import { applyEdits, modify } from "jsonc-parser";
import { useEffect, useState } from "react";
import type { Reading } from "./faults";

interface RootFieldsProps {
  reading: Reading;
  /** The text as it is now, which may be newer than the reading. */
  text: string;
  onChange: (text: string) => void;
}

export function RootFields({ reading, text, onChange }: RootFieldsProps) {
  const { value, isJson } = reading;
  const isRoot = isJson && typeof value === "object" && value !== null && !Array.isArray(value);
  const root = (isRoot ? value : {}) as Record<string, unknown>;
  const set = (key: string, to: unknown) => onChange(withRoot(text, key, to));
  const [name, setName] = useEager(textOf(root.name));
  const [queueName, setQueueName] = useEager(textOf(root.queueName));
  const [tags, setTags] = useEager(tagsOf(root.tags));
  const [seconds, setSeconds] = useEager<number | string>(typeof root.deadline === "number" ? root.deadline / 1_000 : "");
  const [failFast, setFailFast] = useEager(root.failFast === true);
  return (
    <Paper withBorder p="sm" component="fieldset" disabled={!isRoot} m={0} miw={0} aria-label="The flow">
      <Title order={2} size="h5" mb="xs">
        The flow
      </Title>
      <Stack gap="xs">
        <TextInput
          label="Name"
          description="Picks the root's handler"
          value={name}
          maxLength={200}
          onChange={(event) => {
            setName(event.currentTarget.value);
            set("name", event.currentTarget.value);
          }}
        />
        <TextInput
          label="Queue"
          value={queueName}
          maxLength={128}
          onChange={(event) => {
            setQueueName(event.currentTarget.value);
            set("queueName", event.currentTarget.value);
          }}
        />
        <TagsInput
          label="Tags"
          placeholder="Type one, then Enter"
          maxTags={20}
          value={tags}
          onChange={(next) => {
            setTags(next);
            set("tags", next.length === 0 ? undefined : next);
          }}
        />
        <NumberInput
          label="Deadline"
          description="Seconds from creation; then the flow fails"
          placeholder="None"
          // A minus is kept as it was typed: without it the number would be another one, and nobody told.
          clampBehavior="none"
          error={typeof seconds === "number" && seconds <= 0 ? "It must be more than 0" : undefined}
          decimalScale={3}
          hideControls
          value={seconds}
          onChange={(next) => {
            if (next === seconds) return;
            setSeconds(next);
            set("deadline", typeof next === "number" ? Math.round(next * 1_000) : undefined);
          }}
        />
        <Switch
          label="Fail fast"
          description="After the first final failure, cancel what has not started"
          checked={failFast}
          onChange={(event) => {
            setFailFast(event.currentTarget.checked);
            set("failFast", event.currentTarget.checked ? true : undefined);
          }}
        />
      </Stack>
    </Paper>
  );
}

/** A value that shows at once what was set, though the text is read a moment later. */
function useEager<T>(value: T): [T, (value: T) => void] {
  const [shown, setShown] = useState(value);
  const key = JSON.stringify(value);
  useEffect(() => setShown(value), [key]);
  return [shown, setShown];
}

/** The text with one key of the root set, or without it; all else stays as it was written. */
function withRoot(text: string, key: string, to: unknown): string {
  const edits = modify(text, [key], to, {
    formattingOptions: { insertSpaces: true, tabSize: 2 },
    // New keys stand with the other short ones, before the children.
    getInsertionIndex: (names) => {
      const children = names.findIndex((name) => name === "data" || name === "opts" || name === "children");
      return children < 0 ? names.length : children;
    },
  });
  return applyEdits(text, edits);
}

function tagsOf(value: unknown): string[] {
  return Array.isArray(value) ? [...new Set(value.filter((tag) => typeof tag === "string"))] : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

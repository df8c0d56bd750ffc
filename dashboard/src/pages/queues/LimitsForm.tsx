/** What all workers of a queue may do together. */
import { Button, Group, NumberInput, SimpleGrid, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState, type FormEvent } from "react";
import { Problem, put } from "../../api/rest";
import type { Queue, QueueSettings } from "../../api/types";
import { ProblemAlert } from "../../parts/problem";
import { queuePath } from "./asking";
import { faultsIn, fieldsOf, requestOf, sameFields, type LimitFields } from "./limits";
import { tellIfNotApplied } from "./PauseButton";

interface LimitsFormProps {
  queue: Queue;
  onChanged: () => void;
}

export function LimitsForm({ queue, onChanged }: LimitsFormProps) {
  // Null while nothing was typed: then the fields follow the queue.
  const [typed, setTyped] = useState<LimitFields | null>(null);
  const [isTried, setTried] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const set = fieldsOf(queue);
  const fields = typed ?? set;
  const faults = isTried ? faultsIn(fields) : {};
  const isChanged = !sameFields(fields, set);
  const field = (name: keyof LimitFields, pointer: string) => ({
    value: fields[name],
    onChange: (value: string | number) => setTyped({ ...fields, [name]: value }),
    error: faults[name] ?? faultAt(error, pointer),
    allowDecimal: name === "duration",
    decimalScale: 3,
    clampBehavior: "none" as const,
    thousandSeparator: " ",
    placeholder: "no limit",
  });
  const undo = () => {
    setTyped(null);
    setTried(false);
    setError(null);
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(faultsIn(fields)).length > 0) return;
    setBusy(true);
    setError(null);
    try {
      tellIfNotApplied(await put<QueueSettings>(`${queuePath(queue.name)}/limits`, { body: requestOf(fields) }));
      notifications.show({ message: `The limits of “${queue.name}” are set.` });
      onChanged();
      setTyped(null);
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} noValidate>
      <Stack gap="sm">
        <NumberInput label="Jobs at once" description="Empty: as many as the workers take" size="sm" {...field("concurrency", "/concurrency")} />
        <SimpleGrid cols={2} spacing="sm">
          <NumberInput label="At most this many jobs" size="sm" {...field("max", "/rateLimit/max")} />
          <NumberInput label="in so many seconds" size="sm" {...field("duration", "/rateLimit/duration")} />
        </SimpleGrid>
        {error !== null && <ProblemAlert error={error} />}
        <Group justify="space-between">
          <Text size="xs" c="dimmed">
            {isChanged ? "Changed, not yet set." : "As set now."}
          </Text>
          <Group gap="xs">
            {isChanged && (
              <Button variant="default" size="xs" onClick={undo}>
                Undo
              </Button>
            )}
            <Button type="submit" size="xs" disabled={!isChanged} loading={isBusy}>
              Set limits
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}

function faultAt(error: unknown, pointer: string): string | undefined {
  return error instanceof Problem ? error.faults?.find((fault) => fault.pointer === pointer)?.detail : undefined;
}

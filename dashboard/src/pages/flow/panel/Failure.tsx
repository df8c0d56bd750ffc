import { Alert, Collapse, Group, Stack, Text, UnstyledButton } from "@mantine/core";
import { IconAlertTriangle, IconBan, IconChevronDown, IconChevronRight, IconRefresh } from "@tabler/icons-react";
import { useId, useState } from "react";
import type { JobError, JobStatus } from "../../../api/types";
import type { Board } from "../../../board/board";
import { Copy } from "../../../parts/copy";
import { JobLink } from "./JobLink";
import classes from "./panel.module.css";

interface FailureProps {
  board: Board;
  status: JobStatus;
  error: JobError;
  onSelect(id: string): void;
}

const TITLES: Partial<Record<JobStatus, { title: string; color: string; icon: typeof IconBan }>> = {
  failed: { title: "Failed", color: "red", icon: IconAlertTriangle },
  cancelled: { title: "Cancelled", color: "orange", icon: IconBan },
};
const TO_BE_TRIED_AGAIN = { title: "The last attempt failed", color: "yellow", icon: IconRefresh };

/** A message of so many characters may have to be scrolled, with a keyboard too. */
const LONG = 300;

/** Why a job has failed, in its own words, with the way to where it began. */
export function Failure({ board, status, error, onSelect }: FailureProps) {
  const { title, color, icon: Sign } = TITLES[status] ?? TO_BE_TRIED_AGAIN;
  const attempt = error.attempt == null ? "" : `, attempt ${error.attempt}`;
  const origin = error.originId ?? error.childId;
  return (
    <Alert color={color} variant="light" icon={<Sign aria-hidden />} title={`${title}${attempt}`}>
      <Stack gap="xs">
        <Text size="sm" className={classes.message} tabIndex={error.message.length > LONG ? 0 : undefined}>
          {error.message}
        </Text>
        {error.childId != null && error.childId !== origin && (
          <Group gap={6}>
            <Text size="sm">Because of its child</Text>
            <JobLink board={board} jobId={error.childId} isAmongWords onSelect={onSelect} />
          </Group>
        )}
        {origin != null && (
          <Group gap={6}>
            <Text size="sm">What failed first</Text>
            <JobLink board={board} jobId={origin} isAmongWords onSelect={onSelect} />
          </Group>
        )}
        {error.stack != null && error.stack !== "" && <Trace stack={error.stack} />}
      </Stack>
    </Alert>
  );
}

function Trace({ stack }: { stack: string }) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const Sign = isOpen ? IconChevronDown : IconChevronRight;
  return (
    <div>
      <Group justify="space-between">
        <UnstyledButton aria-expanded={isOpen} aria-controls={id} onClick={() => setOpen(!isOpen)}>
          <Group gap={4}>
            <Sign size={14} aria-hidden />
            <Text size="sm" fw={500}>
              Stack
            </Text>
          </Group>
        </UnstyledButton>
        <Copy text={stack} what="stack" />
      </Group>
      <Collapse expanded={isOpen} id={id}>
        <pre className={classes.stack} tabIndex={0} role="region" aria-label="Stack">
          {stack}
        </pre>
      </Collapse>
    </div>
  );
}

/** Whether it can be created, or why it could not be, and the button that does it. It stays in sight. */
import { Button, Group, Loader, Paper, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconInfoCircle, IconPlus } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { inWords, Problem } from "../../api/rest";
import classes from "./create.module.css";
import { sizeOf } from "./Preview";
import type { Check } from "./useCheck";

interface VerdictProps {
  check: Check;
  faultCount: number;
  /** Why the last try has failed; null when it has not. */
  failure: unknown;
  isSending: boolean;
  onCreate: () => void;
}

export function Verdict({ check, faultCount, failure, isSending, onCreate }: VerdictProps) {
  return (
    <Paper withBorder p="sm" shadow="sm" className={classes.verdict}>
      <Group justify="space-between">
        {failure === null ? (
          <Group gap="xs" wrap="nowrap" role="status" miw={0} flex={1}>
            {wordsOf(check, faultCount)}
          </Group>
        ) : (
          <Failure error={failure} />
        )}
        <Button
          leftSection={<IconPlus size={16} aria-hidden />}
          className={classes.create}
          loading={isSending}
          disabled={faultCount > 0}
          onClick={onCreate}
          aria-keyshortcuts="Control+Enter Meta+Enter"
        >
          Create flow
        </Button>
      </Group>
    </Paper>
  );
}

function Failure({ error }: { error: unknown }) {
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start" role="alert" flex="1 1 260px" miw={0}>
      <IconAlertTriangle size={18} className={classes.sign} aria-hidden />
      <div className={classes.words}>
        <Text size="sm" fw={600}>
          {error instanceof Problem ? error.title : "Error"}
        </Text>
        <Text size="sm">{inWords(error)}</Text>
      </div>
    </Group>
  );
}

function wordsOf(check: Check, faultCount: number): ReactNode {
  if (faultCount > 0) {
    const words = check.reading.isJson ? (faultCount === 1 ? "1 fault" : `${faultCount} faults`) : "This is not JSON yet";
    return line(<IconAlertTriangle size={18} className={classes.sign} aria-hidden />, words);
  }
  switch (check.state) {
    case "good":
      return line(
        <IconCircleCheck size={18} className={classes.good} aria-hidden />,
        check.checked === null ? "Ready" : `Ready: ${sizeOf(check.checked)}`,
      );
    case "unasked":
      return line(<IconInfoCircle size={18} aria-hidden />, check.why);
    default:
      return line(<Loader size={16} aria-hidden />, "Checking …");
  }
}

function line(sign: ReactNode, words: string): ReactNode {
  return (
    <>
      {sign}
      <Text size="sm">{words}</Text>
    </>
  );
}

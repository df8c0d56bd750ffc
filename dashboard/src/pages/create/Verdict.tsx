/** Whether it can be created, in one line, and the button that does it. It stays in sight. */
import { Button, Group, Loader, Paper, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconInfoCircle, IconPlus } from "@tabler/icons-react";
import type { ReactNode } from "react";
import classes from "./create.module.css";
import { sizeOf } from "./Preview";
import type { Check } from "./useCheck";

interface VerdictProps {
  check: Check;
  faultCount: number;
  isSending: boolean;
  onCreate: () => void;
}

export function Verdict({ check, faultCount, isSending, onCreate }: VerdictProps) {
  return (
    <Paper withBorder p="sm" shadow="sm" className={classes.verdict}>
      <Group justify="space-between" wrap="nowrap">
        <Group gap="xs" wrap="nowrap" role="status" miw={0}>
          {wordsOf(check, faultCount)}
        </Group>
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

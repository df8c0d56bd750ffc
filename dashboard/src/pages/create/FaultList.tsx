/** What is wrong, one line each; a click goes to the place. */
import { Code, Paper, Text, UnstyledButton } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import classes from "./create.module.css";
import type { Fault } from "./faults";

interface FaultListProps {
  faults: readonly Fault[];
  text: string;
  onJump: (fault: Fault) => void;
}

export function FaultList({ faults, text, onJump }: FaultListProps) {
  if (faults.length === 0) return null;
  return (
    <Paper withBorder component="section" aria-label="Faults" className={classes.faults}>
      <ul>
        {faults.map((fault, place) => (
          <li key={`${place} ${fault.pointer}`}>
            <UnstyledButton className={classes.fault} onClick={() => onJump(fault)}>
              <IconAlertTriangle size={16} aria-hidden className={classes.sign} />
              <span className={classes.words}>
                {fault.pointer !== "" && <Code>{fault.pointer}</Code>} {fault.detail}
              </span>
              <Text span size="xs" c="dimmed" className={classes.line}>
                line {lineOf(text, fault.from)}
              </Text>
            </UnstyledButton>
          </li>
        ))}
      </ul>
    </Paper>
  );
}

function lineOf(text: string, place: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < place; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

import { Box, Group, Title } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./panel.module.css";

/** A part of the panel under its own small heading. */
export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <Box>
      <Group justify="space-between" mb={6} gap="xs" mih={24}>
        <Title order={3} className={classes.heading}>
          {title}
        </Title>
        {aside}
      </Group>
      {children}
    </Box>
  );
}

/** Facts with their names, as a list of terms. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className={classes.facts}>{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

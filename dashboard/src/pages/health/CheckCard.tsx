import { Badge, Code, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconQuestionMark, type Icon } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Check, Wellness } from "./checks";

const LOOK: Record<Wellness, { color: string; icon: Icon; word: string }> = {
  ok: { color: "teal", icon: IconCircleCheck, word: "well" },
  slow: { color: "yellow", icon: IconAlertTriangle, word: "behind" },
  away: { color: "red", icon: IconCircleX, word: "away" },
  unknown: { color: "gray", icon: IconQuestionMark, word: "not known" },
};

/** One part of the service: how it is, what that means, and what to do when it is not well. */
export function CheckCard({ check, children }: { check: Check; children?: ReactNode }) {
  const { color, icon: Sign, word } = LOOK[check.wellness];
  const hasValue = check.value !== "ok" && check.value !== word;
  return (
    <Paper withBorder p="md" component="section" aria-label={check.name}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs" wrap="nowrap">
          <Title order={2} size="h5">
            {check.name}
          </Title>
          <Badge variant="light" color={color} radius="sm" tt="none" leftSection={<Sign size={12} aria-hidden />} style={{ flexShrink: 0 }}>
            {word}
          </Badge>
        </Group>
        {hasValue && (
          <Text fw={600} size={check.value.length > 24 ? "sm" : "xl"} style={{ overflowWrap: "anywhere" }}>
            {check.value}
          </Text>
        )}
        {children}
        <Text size="sm" c="dimmed">
          {check.meaning}
        </Text>
        {check.wellness !== "ok" && check.wayOut !== "" && (
          <Text size="sm">
            {check.wayOut.split("`").map((text, place) => (place % 2 === 1 ? <Code key={place}>{text}</Code> : text))}
          </Text>
        )}
      </Stack>
    </Paper>
  );
}

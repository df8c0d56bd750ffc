import { Box, Code, Group, Text } from "@mantine/core";
import { useMemo } from "react";
import { Copy } from "./copy";

const LONGEST_SHOWN = 20_000;

/** A JSON value, indented; a very long one is cut, and can be copied whole. */
export function Json({ value, what, maxHeight = 260 }: { value: unknown; what: string; maxHeight?: number }) {
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "null", [value]);
  const isCut = text.length > LONGEST_SHOWN;
  return (
    <Box pos="relative">
      <Code
        block
        tabIndex={0}
        role="region"
        aria-label={what}
        style={{ maxHeight, overflow: "auto", whiteSpace: "pre-wrap", overflowWrap: "anywhere", paddingRight: 36 }}
      >
        {isCut ? text.slice(0, LONGEST_SHOWN) : text}
      </Code>
      <Group pos="absolute" top={6} right={6}>
        <Copy text={text} what={what} />
      </Group>
      {isCut && (
        <Text size="xs" c="dimmed" mt={4}>
          The first {LONGEST_SHOWN.toLocaleString()} of {text.length.toLocaleString()} characters. Copy takes all.
        </Text>
      )}
    </Box>
  );
}

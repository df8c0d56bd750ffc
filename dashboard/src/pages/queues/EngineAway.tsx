import { Group, Text } from "@mantine/core";
import { IconPlugConnectedX } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { inWords } from "../../api/rest";
import { Instant } from "../../parts/time";

/** Says calmly that there was no answer, and from when what is shown is (0: nothing is shown). What it means, the banner above says. */
export function EngineAway({ error, since }: { error: unknown; since: number }) {
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start" role="status">
      <IconPlugConnectedX size={18} aria-hidden style={{ flexShrink: 0, marginTop: 2 }} />
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        {sentence(inWords(error))}{" "}
        {since > 0 ? (
          <>
            What you see is from <Instant at={since} size="sm" /> and is renewed as soon as there is an answer.
          </>
        ) : (
          "It is asked again every 2 seconds."
        )}
      </Text>
    </Group>
  );
}

const SLOW_MS = 1_000;

/** Says that the first answer takes longer than it should; what has become of it is said after that. */
export function Slow() {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, []);
  return isSlow && <Text size="sm">The engine has not answered yet. It is still being asked.</Text>;
}

function sentence(words: string): string {
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

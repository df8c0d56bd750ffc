import { Group, Paper, Text } from "@mantine/core";
import { useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import type { BoardJob } from "../../../board/jobs";
import { StatusBadge } from "../../../parts/status";
import { timeOfDay } from "../../../parts/time";
import type { Attempt } from "./attempts";
import { spansOf } from "./history";
import styles from "./timeline.module.css";
import { exactly, outcomeInWords } from "./words";

const MOST_ATTEMPTS = 4;
const LONGEST_MESSAGE = 240;
const APART = 14;

interface HintProps {
  job: BoardJob;
  history: readonly Attempt[];
  now: number;
  /** In the window. */
  at: { x: number; y: number };
}

/** The exact times of a job, beside the pointer or the row that has the focus. */
export function Hint({ job, history, now, at }: HintProps) {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ left: at.x + APART, top: at.y + APART });
  useLayoutEffect(() => {
    if (box.current === null) return;
    const { width, height } = box.current.getBoundingClientRect();
    const top = at.y + APART + height > window.innerHeight - 8 ? at.y - APART - height : at.y + APART;
    setPlace({ left: Math.max(8, Math.min(at.x + APART, window.innerWidth - width - 8)), top: Math.max(8, top) });
  }, [at.x, at.y, history.length]);
  const left = history.length - MOST_ATTEMPTS;
  return createPortal(
    <Paper ref={box} className={styles.hint} style={place} withBorder shadow="md" p="xs" aria-hidden>
      <Group gap="xs" wrap="nowrap" mb={4}>
        <Text size="sm" fw={600} truncate>
          {job.name}
        </Text>
        <StatusBadge status={job.status} size="sm" />
      </Group>
      {left > 0 && <Text size="xs">The last {MOST_ATTEMPTS} of {history.length} attempts:</Text>}
      {history.slice(-MOST_ATTEMPTS).map((attempt) => (
        <Times key={`${attempt.run}.${attempt.number}.${attempt.startedAt}`} attempt={attempt} now={now} many={history.length > 1} />
      ))}
    </Paper>,
    document.body,
  );
}

function Times({ attempt, now, many }: { attempt: Attempt; now: number; many: boolean }) {
  const spans = spansOf([attempt], now);
  const message = attempt.message ?? "";
  const today = new Date(now).toISOString();
  return (
    <>
      {(many || attempt.run > 1) && (
        <Text size="xs" fw={600} mt={4}>
          Attempt {attempt.number}
          {attempt.run > 1 && ` of run ${attempt.run}`}: {outcomeInWords(attempt)}
        </Text>
      )}
      <Text component="div" size="xs">
        <table>
          <tbody>
            {spans.filter((span) => span.kind === "running" || span.to > span.from).map((span) => (
              <tr key={span.kind}>
                <td>{span.kind}</td>
                <td>from {timeOfDay(span.from, today)}</td>
                <td>{exactly(span.to - span.from)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Text>
      {spans.length === 0 && (
        <Text size="xs">{attempt.outcome === "open" ? "Waits for its children." : "It never ran."}</Text>
      )}
      {attempt.worker !== null && (
        <Text size="xs" truncate>
          on {attempt.worker}
        </Text>
      )}
      {message !== "" && (
        <Text size="xs" className={styles.message} lineClamp={3} style={{ overflowWrap: "anywhere" }}>
          {message.slice(0, LONGEST_MESSAGE)}
        </Text>
      )}
    </>
  );
}

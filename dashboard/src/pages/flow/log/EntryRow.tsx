import { Anchor, Group, Skeleton, Stack, Text } from "@mantine/core";
import type { FlowEvent } from "../../../api/types";
import { Id } from "../../../parts/copy";
import { Json } from "../../../parts/json";
import { timeOfDay, utcText } from "../../../parts/time";
import styles from "./log.module.css";
import { EVENT_LOOKS } from "./looks";
import { inShort } from "./words";

const BAD: ReadonlySet<string> = new Set(["job.failed", "job.retrying", "flow.failed"]);

interface EntryRowProps {
  event: FlowEvent;
  jobName: string;
  /** The day of the flow: other days are said. */
  day: string;
  isOpen: boolean;
  isReachable: boolean;
  onToggle(): void;
  onFocus(): void;
  /** Null when it is about no job that is known. */
  onSelect: (() => void) | null;
}

/** An entry of the log in one line, and on demand with all it says. */
export function EntryRow({ event, jobName, day, isOpen, isReachable, onToggle, onFocus, onSelect }: EntryRowProps) {
  const { color, icon: Sign } = EVENT_LOOKS[event.event] ?? EVENT_LOOKS["flow.created"];
  const short = inShort(event);
  return (
    <>
      <button
        type="button"
        className={styles.entry}
        data-entry={event.seq}
        data-long={short.length > 34 || undefined}
        aria-expanded={isOpen}
        tabIndex={isReachable ? 0 : -1}
        onClick={onToggle}
        onFocus={onFocus}
      >
        <span className={styles.seq}>{event.seq}</span>
        <time className={styles.time} dateTime={event.at} title={utcText(event.at)}>
          {timeOfDay(event.at, day)}
        </time>
        <span className={styles.kind}>
          <Sign size={15} color={`var(--mantine-color-${color}-filled)`} aria-hidden />
          {event.event}
        </span>
        <span className={styles.job}>{jobName}</span>
        <span className={styles.short} data-bad={BAD.has(event.event) || undefined}>
          {short}
        </span>
      </button>
      {isOpen && (
        <Stack gap="xs" className={styles.more}>
          <Text size="sm">
            {new Date(event.at).toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" })}{" "}
            <Text span size="xs">
              ({utcText(event.at)})
            </Text>
          </Text>
          {event.id != null && (
            <Group gap="md">
              {onSelect !== null && (
                <Anchor component="button" type="button" size="sm" onClick={onSelect} style={{ overflowWrap: "anywhere", textAlign: "start" }}>
                  Show the job {jobName}
                </Anchor>
              )}
              <Id id={event.jobId ?? event.id} what="job id" />
            </Group>
          )}
          <Json value={event.data} what={`data of entry ${event.seq}`} />
        </Stack>
      )}
    </>
  );
}

/** The place of an entry that is being read. */
export function UnreadRow({ seq }: { seq: number }) {
  return (
    <div className={styles.entry} aria-busy>
      <span className={styles.seq}>{seq}</span>
      <Skeleton height={10} width={84} className={styles.time} />
      <Skeleton height={10} width={96} className={styles.kind} />
    </div>
  );
}

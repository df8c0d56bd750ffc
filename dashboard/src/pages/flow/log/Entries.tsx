import { Text } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import type { Board } from "../../../board/board";
import type { EventLog } from "../../../board/log";
import { EntryRow, UnreadRow } from "./EntryRow";
import styles from "./log.module.css";
import { useFollow } from "./useFollow";
import { nameIn } from "./words";

const ROW = 35;
const PAGE = 12;

interface EntriesProps {
  board: Board;
  log: EventLog;
  /** The numbers that are shown; null for all of them. */
  found: readonly number[] | null;
  jump: { to: number; count: number };
  isFollowing: boolean;
  onFollow(isOn: boolean): void;
  onSelect(jobId: string): void;
}

/** The entries in their order. Only what is in sight is drawn, and read. */
export function Entries({ board, log, found, jump, isFollowing, onFollow, onSelect }: EntriesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [openSeq, setOpenSeq] = useState<number | null>(null);
  const [reached, setReached] = useState(0);
  const wanted = useRef<number | null>(null);
  const count = found?.length ?? log.lastSeq;
  const seqAt = (index: number) => (found === null ? index + 1 : (found[index] ?? 0));
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: seqAt,
    overscan: 10,
  });
  useFollow(scroller, isFollowing, count, onFollow);

  const drawn = virtual.getVirtualItems();
  const [first, last] = [seqAt(drawn[0]?.index ?? 0), seqAt(drawn.at(-1)?.index ?? 0)];
  useEffect(() => log.show(first, last), [log, first, last, log.lastSeq]);

  const walk = (index: number) => {
    const place = Math.max(0, Math.min(count - 1, index));
    if (count === 0) return;
    if (place < count - 1) onFollow(false);
    wanted.current = seqAt(place);
    setReached(seqAt(place));
    virtual.scrollToIndex(place);
  };
  useEffect(() => {
    if (jump.count === 0) return;
    const place = found === null ? jump.to - 1 : found.findIndex((seq) => seq >= jump.to);
    if (place < 0) return;
    wanted.current = seqAt(place);
    setReached(seqAt(place));
    virtual.scrollToIndex(place, { align: "center" });
    // Only when somebody asks for it
  }, [jump]);
  // A row that was out of sight, or not read, is there only later.
  useEffect(() => {
    if (wanted.current === null) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-entry="${wanted.current}"]`);
    if (row == null) return;
    wanted.current = null;
    row.focus();
  });

  const press = (event: KeyboardEvent, index: number) => {
    if (!(event.target as Element).hasAttribute("data-entry")) return;
    const steps: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + PAGE,
      PageUp: index - PAGE,
      Home: 0,
      End: count - 1,
    };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    walk(next);
  };
  const isReachedDrawn = drawn.some(({ index }) => seqAt(index) === reached);
  return (
    <div ref={scroller} className={styles.scroller} data-days={takesDays(board) || undefined} tabIndex={count === 0 ? 0 : -1}>
      {count === 0 && (
        <Text size="sm" p="md">
          {found === null ? "No entries yet." : "No entry matches so far."}
        </Text>
      )}
      <ul className={styles.list} aria-label="Entries of the log" style={{ height: virtual.getTotalSize() }}>
        {drawn.map(({ index, key, start }, place) => {
          const seq = seqAt(index);
          const event = log.get(seq);
          const job = event?.id == null ? undefined : board.jobs.get(event.id);
          return (
            <li
              key={key}
              ref={virtual.measureElement}
              data-index={index}
              className={styles.item}
              style={{ transform: `translateY(${start}px)` }}
              aria-setsize={count}
              aria-posinset={index + 1}
              onKeyDown={(pressed) => press(pressed, index)}
            >
              {event === undefined ? (
                <UnreadRow seq={seq} />
              ) : (
                <EntryRow
                  event={event}
                  jobName={job?.name ?? nameIn(event) ?? ""}
                  day={board.flow?.createdAt ?? event.at}
                  isOpen={openSeq === seq}
                  isReachable={isReachedDrawn ? seq === reached : place === 0}
                  onToggle={() => setOpenSeq(openSeq === seq ? null : seq)}
                  onFocus={() => setReached(seq)}
                  onSelect={job === undefined ? null : () => onSelect(job.id)}
                />
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

/** Whether entries can be of another day than the flow, so that days are said. */
function takesDays({ flow }: Board): boolean {
  return flow !== null && new Date(flow.createdAt).toDateString() !== new Date(flow.updatedAt).toDateString();
}

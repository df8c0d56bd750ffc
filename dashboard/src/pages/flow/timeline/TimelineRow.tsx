import { IconChevronDown, IconChevronRight, IconRoute, IconX } from "@tabler/icons-react";
import type { KeyboardEvent, PointerEvent } from "react";
import { LOOKS } from "../../../theme";
import { durationText } from "../../../parts/time";
import { StatusIcon } from "../../../parts/status";
import type { Attempt } from "./attempts";
import type { DrawnTime } from "./gaps";
import { spansOf, timeIn, type Span } from "./history";
import type { Row } from "./rows";
import styles from "./timeline.module.css";
import { timesInWords } from "./words";

const INDENT = 14;
const DEEPEST_INDENT = 8;
const ROOM_FOR_ICON = 16;

interface TimelineRowProps {
  row: Row;
  index: number;
  total: number;
  history: readonly Attempt[];
  /** What is below it, when that is folded. */
  below: { from: number; to: number } | null;
  place: { top: number; height: number; namesWidth: number; indent: boolean };
  axis: { time: DrawnTime; pixelsPerMs: number; now: number };
  isCritical: boolean;
  isSelected: boolean;
  isReachable: boolean;
  onSelect(): void;
  onFold(): void;
  onKeyDown(event: KeyboardEvent<HTMLDivElement>): void;
  onFocus(element: HTMLElement): void;
  onPoint(event: PointerEvent<HTMLDivElement>): void;
}

/** A job: its name, and a bar for all it has done. */
export function TimelineRow(props: TimelineRowProps) {
  const { row, index, total, history, place, axis, isCritical, isSelected, isReachable } = props;
  const { job, depth, isOpen } = row;
  const spans = spansOf(history, axis.now);
  const below = job.children.length === 0 ? 0 : job.below.reduce((sum, count) => sum + count, 0);
  return (
    <div
      role="treeitem"
      aria-level={depth + 1}
      aria-setsize={total}
      aria-posinset={index + 1}
      aria-expanded={isOpen ?? undefined}
      aria-selected={isSelected}
      tabIndex={isReachable ? 0 : -1}
      data-row={job.id}
      className={isCritical ? `${styles.row} ${styles.critical}` : styles.row}
      style={{ height: place.height, transform: `translateY(${place.top}px)` }}
      onClick={props.onSelect}
      onKeyDown={props.onKeyDown}
      onFocus={(event) => props.onFocus(event.currentTarget)}
      onPointerMove={props.onPoint}
    >
      <div className={styles.name} style={{ width: place.namesWidth, paddingInlineStart: indentOf(depth, place.indent) }}>
        <Fold isOpen={isOpen} onFold={props.onFold} />
        <StatusIcon status={job.status} size={14} />
        <span className={styles.nameText} title={job.name}>
          {job.name}
        </span>
        <span className={styles.count}>
          {isCritical && <IconRoute size={13} aria-hidden style={{ verticalAlign: "-2px" }} />}
          {isOpen === false && ` ${below.toLocaleString()}`}
        </span>
        <span className="visually-hidden">
          {isOpen === false ? " jobs below, " : ", "}
          {timesInWords(history, axis.now, isCritical)}
        </span>
      </div>
      <div className={styles.track} aria-hidden>
        {props.below !== null && (
          <div className={styles.below} style={across(props.below.from, props.below.to, axis)} />
        )}
        {spans.map((span) => (
          <Bar key={`${span.attempt.run}.${span.from}.${span.kind}`} span={span} axis={axis} />
        ))}
        <After row={row} spans={spans} history={history} axis={axis} below={props.below} />
      </div>
    </div>
  );
}

function Fold({ isOpen, onFold }: { isOpen: boolean | null; onFold(): void }) {
  if (isOpen === null) return <span className={styles.fold} aria-hidden />;
  return (
    <span
      className={styles.fold}
      data-folds
      aria-hidden
      onClick={(event) => {
        event.stopPropagation();
        onFold();
      }}
    >
      {isOpen ? <IconChevronDown size={14} /> : <IconChevronRight size={14} />}
    </span>
  );
}

function Bar({ span, axis }: { span: Span; axis: TimelineRowProps["axis"] }) {
  const look = span.kind !== "running" ? span.kind : span.attempt.outcome === "open" ? "active" : span.attempt.outcome;
  const isBad = look === "failed" || look === "cancelled";
  const hasRoom = (span.to - span.from) * axis.pixelsPerMs >= ROOM_FOR_ICON;
  // A wait that is too short to be seen would only look like work.
  if (span.kind !== "running" && (span.to - span.from) * axis.pixelsPerMs < 1) return null;
  return (
    <div className={`${styles.bar} ${styles[look]}`} style={across(span.from, span.to, axis)}>
      {isBad && hasRoom && <IconX size={12} stroke={3} />}
    </div>
  );
}

/** What stands behind the last bar: how long it ran in all, how often, and how it ended if not well. */
function After({ row, spans, history, axis, below }: Pick<TimelineRowProps, "row" | "history" | "axis" | "below"> & { spans: Span[] }) {
  const { job } = row;
  const running = timeIn(spans, "running", -Infinity, Infinity);
  const ends = spans.map((span) => span.to);
  const end = Math.max(job.finishedAt ?? 0, below?.to ?? 0, ...ends);
  if (end === 0) return null;
  const hasRun = spans.some((span) => span.kind === "running");
  const runs = history.filter((attempt) => attempt.startedAt !== null).length;
  const Sign = job.status === "failed" || job.status === "cancelled" ? LOOKS[job.status].icon : null;
  return (
    <div className={styles.after} style={{ left: axis.time.at(end) * axis.pixelsPerMs }}>
      {Sign !== null && <Sign size={13} color={`var(--mantine-color-${LOOKS[job.status].color}-filled)`} />}
      <span className={styles.afterText}>
        {runs > 1 && `${runs} attempts, `}
        {hasRun ? durationText(running) : job.status === "failed" ? "did not run" : ""}
      </span>
    </div>
  );
}

function across(from: number, to: number, { time, pixelsPerMs }: TimelineRowProps["axis"]) {
  return { left: time.at(from) * pixelsPerMs, width: Math.max(0, time.at(to) - time.at(from)) * pixelsPerMs };
}

function indentOf(depth: number, indents: boolean): number {
  return 4 + (indents ? Math.min(depth, DEEPEST_INDENT) * INDENT : Math.min(depth, DEEPEST_INDENT) * 6);
}

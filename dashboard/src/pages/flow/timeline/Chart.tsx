import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useMemo, useState, type KeyboardEvent, type PointerEvent, type RefObject } from "react";
import type { BoardJob, Jobs } from "../../../board/jobs";
import { Axis, Gridlines, useInSight } from "./Axis";
import { Breaks } from "./Breaks";
import type { CriticalPath, History } from "./criticalPath";
import type { DrawnTime } from "./gaps";
import { Hint } from "./Hint";
import { Links } from "./Links";
import { spanBelow, type Row } from "./rows";
import { TimelineRow } from "./TimelineRow";
import styles from "./timeline.module.css";
import type { ChartSize } from "./useChartSize";
import { useRowKeys } from "./useRowKeys";

const ROW = 30;
const AXIS = 28;

interface ChartProps {
  scroller: RefObject<HTMLDivElement | null>;
  jobs: Jobs;
  rows: readonly Row[];
  history: History;
  path: CriticalPath;
  axis: { time: DrawnTime; now: number; pixelsPerMs: number; isLive: boolean };
  size: ChartSize;
  selected: string | null;
  onSelect(jobId: string): void;
  onFold(job: BoardJob, isOpen: boolean): void;
  onZoom(factor: number): void;
  onFit(): void;
}

/** The rows below their axis. Only what is in sight is drawn. */
export function Chart(props: ChartProps) {
  const { scroller, jobs, rows, history, path, axis, size, selected } = props;
  const { pixelsPerMs, time, now } = axis;
  const [hint, setHint] = useState<{ id: string; x: number; y: number } | null>(null);
  const critical = useMemo(() => new Set(path.steps.map((step) => step.id)), [path]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: (index) => rows[index]?.job.id ?? index,
    scrollMargin: AXIS,
    scrollPaddingStart: AXIS,
    overscan: 8,
  });
  const inSight = useInSight(scroller, size.chartWidth + size.roomAfter);
  const full = time.duration * pixelsPerMs;
  const ticks = time.ticks(inSight.from / pixelsPerMs, Math.min(inSight.to, full) / pixelsPerMs, pixelsPerMs, size.isNarrow ? 70 : 90);
  const keys = useRowKeys({ ...props, onEscape: () => setHint(null), goTo: virtual.scrollToIndex });
  const point = useCallback((id: string, event: PointerEvent) => {
    const isOnTrack = event.pointerType === "mouse" && (event.target as Element).closest(`.${styles.track}`) !== null;
    setHint(isOnTrack ? { id, x: event.clientX, y: event.clientY } : null);
  }, []);
  const focus = (id: string, element: HTMLElement) => {
    keys.reached(id);
    if (!element.matches(":focus-visible")) return;
    const { top } = element.getBoundingClientRect();
    setHint({ id, x: (scroller.current?.getBoundingClientRect().left ?? 0) + size.namesWidth, y: top + ROW / 2 });
  };
  const drawn = virtual.getVirtualItems();
  const reachable = keys.reachable(drawn.map(({ index }) => rows[index]?.job.id ?? ""));
  const hinted = hint === null ? undefined : jobs.get(hint.id);
  return (
    <div ref={scroller} className={`${styles.scroller} ${styles.root}`} onPointerLeave={() => setHint(null)} onScroll={() => setHint(null)}>
      <div className={styles.content} style={{ width: size.namesWidth + full + size.roomAfter }}>
        <Axis ticks={ticks} time={time} pixelsPerMs={pixelsPerMs} namesWidth={size.namesWidth} height={AXIS} corner={countInWords(rows, jobs)} />
        <div className={styles.rows} style={{ height: virtual.getTotalSize() }}>
          <Gridlines ticks={ticks} pixelsPerMs={pixelsPerMs} left={size.namesWidth} />
          <Breaks time={time} pixelsPerMs={pixelsPerMs} left={size.namesWidth} />
          <Links path={path} rows={rows} rowHeight={ROW} x={(at) => size.namesWidth + time.at(at) * pixelsPerMs} />
          <div role="tree" aria-label="Jobs in time" onBlur={() => setHint(null)}>
            {drawn.map(({ index, start: top, key }) => {
              const row = rows[index];
              if (row === undefined) return null;
              const { job } = row;
              return (
                <TimelineRow
                  key={key}
                  row={row}
                  index={index}
                  total={rows.length}
                  history={history(job)}
                  below={row.isOpen === false ? spanBelow(jobs, job, now) : null}
                  place={{ top: top - AXIS, height: ROW, namesWidth: size.namesWidth, indent: !size.isNarrow }}
                  axis={axis}
                  isCritical={critical.has(job.id)}
                  isSelected={job.id === selected}
                  isReachable={job.id === reachable}
                  onSelect={() => props.onSelect(job.id)}
                  onFold={() => props.onFold(job, row.isOpen === false)}
                  onKeyDown={(event: KeyboardEvent) => keys.press(event, index)}
                  onFocus={(element) => focus(job.id, element)}
                  onPoint={(event) => point(job.id, event)}
                />
              );
            })}
          </div>
          {axis.isLive && <div className={styles.now} style={{ left: size.namesWidth + time.at(now) * pixelsPerMs }} aria-hidden />}
        </div>
      </div>
      {hint !== null && hinted !== undefined && <Hint job={hinted} history={history(hinted)} now={now} at={hint} />}
    </div>
  );
}

function countInWords(rows: readonly Row[], jobs: Jobs): string {
  const all = jobs.byId.size;
  if (rows.length === all) return all === 1 ? "1 job" : `${all.toLocaleString()} jobs`;
  return `${rows.length.toLocaleString()} of ${all.toLocaleString()} jobs`;
}

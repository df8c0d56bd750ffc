import { useEffect, useState, type RefObject } from "react";
import { BreakLengths } from "./Breaks";
import type { DrawnTime } from "./gaps";
import styles from "./timeline.module.css";
import type { Tick } from "./ticks";

/** What is in sight of the chart, in pixels from its start. It changes in steps, so that not every scroll draws anew. */
export function useInSight(scroller: RefObject<HTMLDivElement | null>, width: number): { from: number; to: number } {
  const [left, setLeft] = useState(0);
  const step = Math.max(200, width / 2);
  useEffect(() => {
    const box = scroller.current;
    if (box === null) return;
    const look = () => setLeft(Math.floor(box.scrollLeft / step) * step);
    look();
    box.addEventListener("scroll", look, { passive: true });
    return () => box.removeEventListener("scroll", look);
  }, [scroller, step]);
  return { from: left - step, to: left + width + 2 * step };
}

interface AxisProps {
  ticks: readonly Tick[];
  pixelsPerMs: number;
  time: DrawnTime;
  namesWidth: number;
  height: number;
  corner: string;
}

/** The time since the flow was created. */
export function Axis({ ticks, pixelsPerMs, time, namesWidth, height, corner }: AxisProps) {
  return (
    <div className={styles.axis} style={{ height }} aria-hidden>
      <div className={styles.corner} style={{ width: namesWidth }}>
        {corner}
      </div>
      <div className={styles.ticks}>
        {ticks.map(({ at, label }) => (
          <div key={at} className={styles.tick} style={{ left: at * pixelsPerMs }}>
            {label}
          </div>
        ))}
        <BreakLengths time={time} pixelsPerMs={pixelsPerMs} />
      </div>
    </div>
  );
}

/** The marks of the axis, down through all rows. */
export function Gridlines({ ticks, pixelsPerMs, left }: { ticks: readonly Tick[]; pixelsPerMs: number; left: number }) {
  return ticks.map(({ at }) => <div key={at} className={styles.gridline} style={{ left: left + at * pixelsPerMs }} aria-hidden />);
}

import { durationText } from "../../../parts/time";
import type { DrawnTime } from "./gaps";
import styles from "./breaks.module.css";

interface BreaksProps {
  time: DrawnTime;
  pixelsPerMs: number;
  left: number;
}

/** Where the axis leaves out time in which nothing ran or waited. The summary says it for those who do not see it. */
export function Breaks({ time, pixelsPerMs, left }: BreaksProps) {
  return time.gaps.map((gap) => {
    const from = time.at(gap.from) * pixelsPerMs;
    const width = time.at(gap.to) * pixelsPerMs - from;
    return <div key={gap.from} className={styles.break} style={{ left: left + from, width }} aria-hidden />;
  });
}

/** How long what is left out has lasted, on the axis. */
export function BreakLengths({ time, pixelsPerMs }: Omit<BreaksProps, "left">) {
  return time.gaps.map((gap) => {
    const from = time.at(gap.from) * pixelsPerMs;
    const width = time.at(gap.to) * pixelsPerMs - from;
    const words = durationText(gap.to - gap.from);
    return (
      <div key={gap.from} className={styles.breakLength} style={{ left: from, width }} title={`Nothing ran or waited for ${words}`}>
        {width >= 50 ? words : "…"}
      </div>
    );
  });
}

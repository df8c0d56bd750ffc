import { useMemo } from "react";
import type { CriticalPath } from "./criticalPath";
import type { Row } from "./rows";
import styles from "./timeline.module.css";

interface LinksProps {
  path: CriticalPath;
  rows: readonly Row[];
  rowHeight: number;
  x(at: number): number;
}

/** From the end of each job of the critical path to the one that it held up, where both have a row. */
export function Links({ path, rows, rowHeight, x }: LinksProps) {
  const ids = path.steps.map((step) => step.id).join();
  const places = useMemo(() => {
    const wanted = new Set(ids.split(","));
    const found = new Map<string, number>();
    for (const [place, { job }] of rows.entries()) if (wanted.has(job.id)) found.set(job.id, place);
    return found;
  }, [rows, ids]);
  return path.steps.slice(0, -1).map((step, index) => {
    const from = places.get(step.id);
    const to = places.get(path.steps[index + 1]?.id ?? "");
    if (from === undefined || to === undefined || from === to) return null;
    const top = (Math.min(from, to) + 0.5) * rowHeight;
    const height = Math.abs(to - from) * rowHeight;
    return <div key={`${step.id} ${step.from}`} className={styles.link} style={{ left: x(step.to), top, height }} aria-hidden />;
  });
}

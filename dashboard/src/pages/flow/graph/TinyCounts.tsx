import { JOB_STATUSES, type JobStatus } from "../../../api/types";
import { LOOKS } from "../../../theme";
import type { Counts } from "./jobMarks";
import classes from "./tiny.module.css";

const ENDED_FIRST: readonly JobStatus[] = ["completed", "failed", "cancelled", "active"];

/** How many jobs are in each state, as a hair-thin bar with its words for those who hear and those who hover. */
export function TinyCounts({ counts }: { counts: Counts }) {
  const total = JOB_STATUSES.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const words = JOB_STATUSES.filter((status) => counts[status])
    .map((status) => `${(counts[status] ?? 0).toLocaleString()} ${LOOKS[status].word}`)
    .join(", ");
  return (
    <span className={classes.tiny} role="img" aria-label={words} title={words}>
      {ENDED_FIRST.filter((status) => counts[status]).map((status) => (
        <span
          key={status}
          style={{
            width: `${(100 * (counts[status] ?? 0)) / total}%`,
            background: `var(--mantine-color-${LOOKS[status].color}-filled)`,
          }}
        />
      ))}
    </span>
  );
}

/** What a card or a row says of a job, as one text: when it is the same, nothing is drawn anew. */
import { JOB_STATUSES, type JobStatus } from "../../../api/types";
import { placeOf, type BoardJob, type Jobs } from "../../../board/jobs";

export type Counts = Partial<Record<JobStatus, number>>;

export function marksOf(job: BoardJob | undefined, withBelow: boolean): string {
  if (job === undefined) return "";
  const { status, attemptsMade, startedAt, finishedAt, progress } = job;
  return `${status} ${attemptsMade} ${startedAt} ${finishedAt} ${percentOf(progress)} ${withBelow ? job.below.join() : ""}`;
}

/** Progress as a number from 0 to 100, or null: a handler may report anything. */
export function percentOf(progress: unknown): number | null {
  return typeof progress === "number" && progress >= 0 && progress <= 100 ? progress : null;
}

export function countsOf(below: readonly number[]): Counts {
  return Object.fromEntries(JOB_STATUSES.map((status, place) => [status, below[place] ?? 0]));
}

/** The states of these siblings and of all jobs below them. */
export function countsAmong(jobs: Jobs, siblings: readonly string[]): number[] {
  const counts = JOB_STATUSES.map(() => 0);
  for (const id of siblings) {
    const job = jobs.get(id);
    if (job === undefined) continue;
    counts[placeOf(job.status)]! += 1;
    if (job.children.length > 0) job.below.forEach((count, place) => (counts[place]! += count));
  }
  return counts;
}

/** The attempts of one job as they are shown: what the log tells, and what the board knows beyond it. Pure. */
import { hasEnded } from "../../../api/types";
import type { BoardJob, Jobs } from "../../../board/jobs";
import { newAttempt, type Attempt, type Attempts, type Outcome } from "./attempts";

/** A stretch of time of one attempt. */
export interface Span {
  kind: "delayed" | "waiting" | "running";
  attempt: Attempt;
  from: number;
  /** Now, while it goes on. */
  to: number;
}

/** The attempts of a job. The log may not be read, or not up to here; then the board has the last word. */
export function historyOf(job: BoardJob, jobs: Jobs, known: Attempts): readonly Attempt[] {
  const told = known.get(job.id) ?? [];
  const history = isBehind(job, told) ? [...told.filter((each) => !isUnbegun(each)), fromBoard(job)] : closed(job, told);
  const first = history[0];
  if (first === undefined || first.waitingFrom !== null) return withFirstDelay(job, history);
  if (first.startedAt === null && first.endedAt !== null && job.children.length > 0) return history;
  return [{ ...first, ...sinceWhen(job, jobs, first) }, ...history.slice(1)];
}

/** What of these attempts takes time, in its order. */
export function spansOf(history: readonly Attempt[], now: number): Span[] {
  const spans: Span[] = [];
  for (const attempt of history) {
    const { delayedFrom, waitingFrom, startedAt, endedAt } = attempt;
    const end = endedAt ?? Math.max(now, startedAt ?? 0);
    if (delayedFrom !== null) {
      spans.push({ kind: "delayed", attempt, from: delayedFrom, to: waitingFrom ?? startedAt ?? end });
    }
    if (waitingFrom !== null) spans.push({ kind: "waiting", attempt, from: waitingFrom, to: startedAt ?? end });
    if (startedAt !== null) spans.push({ kind: "running", attempt, from: startedAt, to: end });
  }
  return spans;
}

/** How long the spans of this kind last between two instants. */
export function timeIn(spans: readonly Span[], kind: Span["kind"], from: number, to: number): number {
  return spans
    .filter((span) => span.kind === kind)
    .reduce((sum, span) => sum + Math.max(0, Math.min(span.to, to) - Math.max(span.from, from)), 0);
}

function isUnbegun(attempt: Attempt): boolean {
  return attempt.outcome === "open" && attempt.startedAt === null;
}

function isBehind(job: BoardJob, told: readonly Attempt[]): boolean {
  const last = told.at(-1);
  if (last === undefined || job.run > last.run) return true;
  const begun = told.findLast((each) => each.startedAt !== null);
  return job.startedAt !== null && job.startedAt > (begun?.startedAt ?? 0);
}

/** The log goes on after what was read of it, but the board knows that the job has ended. */
function closed(job: BoardJob, told: readonly Attempt[]): readonly Attempt[] {
  const last = told.at(-1);
  if (last === undefined || last.outcome !== "open" || !hasEnded(job.status)) return told;
  return [...told.slice(0, -1), { ...last, outcome: outcomeOf(job), endedAt: job.finishedAt, message: job.message }];
}

function fromBoard(job: BoardJob): Attempt {
  const number = Math.max(1, hasEnded(job.status) ? job.attemptsMade : job.attemptsMade + 1);
  return {
    ...newAttempt(job.run, number),
    startedAt: job.startedAt,
    endedAt: hasEnded(job.status) ? job.finishedAt : null,
    outcome: outcomeOf(job),
    worker: job.worker,
    message: job.message,
  };
}

function outcomeOf(job: BoardJob): Outcome {
  switch (job.status) {
    case "completed":
    case "failed":
    case "cancelled":
      return job.status;
    default:
      return "open";
  }
}

/** Since when the first attempt that is known has been waiting: from the job's creation, or the end of its last child. */
function sinceWhen(job: BoardJob, jobs: Jobs, first: Attempt): Partial<Attempt> {
  if (first.run > 1) return { waitingFrom: first.delayedFrom === null ? first.startedAt : null };
  if (job.children.length === 0) {
    const isDelayed = job.status === "delayed" && first.startedAt === null;
    if (first.delayedFrom !== null) return {};
    return isDelayed ? { delayedFrom: job.createdAt } : { waitingFrom: job.createdAt };
  }
  let lastEnd = job.createdAt;
  for (const id of job.children) {
    const child = jobs.get(id);
    if (child === undefined) continue;
    if (child.finishedAt === null && first.startedAt === null) return {};
    lastEnd = Math.max(lastEnd, child.finishedAt ?? lastEnd);
  }
  return first.startedAt === null ? {} : { waitingFrom: Math.min(lastEnd, first.startedAt) };
}

/** The log does not name the first state of a job: one without children that comes into its queue was delayed before. */
function withFirstDelay(job: BoardJob, history: readonly Attempt[]): readonly Attempt[] {
  const first = history[0];
  if (first === undefined || job.children.length > 0 || first.run > 1 || first.delayedFrom !== null) return history;
  if (first.waitingFrom === null || first.waitingFrom <= job.createdAt) return history;
  return [{ ...first, delayedFrom: job.createdAt }, ...history.slice(1)];
}

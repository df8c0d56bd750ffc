/** The chain of jobs that made a flow take as long as it did. Pure. */
import type { BoardJob, Jobs } from "../../../board/jobs";
import { idleIn, type Gap } from "./gaps";
import { spansOf, timeIn, type Span } from "./history";
import type { Attempt } from "./attempts";

/** One job of the chain, and its share of the time. */
export interface Step {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly running: number;
  /** What is left: in a queue, put off, or between two runs. */
  readonly waiting: number;
}

export interface CriticalPath {
  /** In the order of time; the root is the last. */
  readonly steps: readonly Step[];
  readonly total: number;
  readonly running: number;
  readonly waiting: number;
}

export type History = (job: BoardJob) => readonly Attempt[];

/**
 * From the end of the root back through the child that ended last before its parent became ready, down to a job that
 * waited for no other. A flow that still runs is followed from now on back. Where a job was added by a running one, the
 * chain goes on with that. What lies in the gaps between two runs is neither running nor waiting.
 */
export function criticalPath(jobs: Jobs, history: History, now: number, gaps: readonly Gap[] = []): CriticalPath {
  const root = jobs.root;
  if (root === undefined) return { steps: [], total: 0, running: 0, waiting: 0 };
  const links = walk(jobs, root, history, now);
  let from = links[0]?.job.createdAt ?? root.createdAt;
  const steps = links.map(({ job, to }) => {
    const step = stepOf(job, spansOf(history(job), now), from, Math.max(from, to), gaps);
    from = step.to;
    return step;
  });
  const running = steps.reduce((sum, step) => sum + step.running, 0);
  const waiting = steps.reduce((sum, step) => sum + step.waiting, 0);
  return { steps, total: running + waiting, running, waiting };
}

interface Link {
  job: BoardJob;
  to: number;
}

function walk(jobs: Jobs, root: BoardJob, history: History, now: number): Link[] {
  const links: Link[] = [];
  let link: Link | null = { job: root, to: root.finishedAt ?? now };
  while (link !== null && links.length <= 2 * jobs.byId.size) {
    links.unshift(link);
    link = before(jobs, root, link, history, now);
  }
  return links;
}

function before(jobs: Jobs, root: BoardJob, { job, to }: Link, history: History, now: number): Link | null {
  const readyBy = readyAt(history(job), to);
  const child = lastChild(jobs, job, readyBy ?? to, now);
  if (child !== null) return child;
  const parent = job.parentId === null ? undefined : jobs.get(job.parentId);
  if (parent === undefined || job.createdAt <= root.createdAt || job.createdAt >= to) return null;
  return { job: parent, to: job.createdAt };
}

/** When the attempt that was under way at this instant could have begun. */
function readyAt(history: readonly Attempt[], at: number): number | null {
  for (const attempt of history.toReversed()) {
    const ready = attempt.waitingFrom ?? attempt.startedAt;
    if (ready !== null && ready <= at) return ready;
  }
  return null;
}

function lastChild(jobs: Jobs, parent: BoardJob, readyBy: number, now: number): Link | null {
  let found: Link | null = null;
  let foundEnded = false;
  for (const id of parent.children) {
    const job = jobs.get(id);
    if (job === undefined || job.createdAt >= readyBy) continue;
    const hasEnded = job.finishedAt !== null && job.finishedAt <= readyBy;
    const to = hasEnded ? (job.finishedAt ?? now) : Math.min(readyBy, now);
    // Of those that end together, the one that has really ended, then the one that ran for longest.
    const isLater = found === null || to > found.to;
    const isWorse = found !== null && to === found.to && !foundEnded;
    const ranLonger = (job.startedAt ?? Infinity) < (found?.job.startedAt ?? Infinity);
    if (isLater || (isWorse && (hasEnded || ranLonger))) {
      found = { job, to };
      foundEnded = hasEnded;
    }
  }
  return found;
}

function stepOf(job: BoardJob, spans: readonly Span[], from: number, to: number, gaps: readonly Gap[]): Step {
  const running = timeIn(spans, "running", from, to);
  return { id: job.id, from, to, running, waiting: Math.max(0, to - from - running - idleIn(gaps, from, to)) };
}

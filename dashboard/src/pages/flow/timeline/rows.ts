/** Which jobs stand in which row. Pure. */
import type { BoardJob, Jobs } from "../../../board/jobs";

export type Order = "tree" | "start" | "longest";

export interface Row {
  readonly job: BoardJob;
  /** How far its name is indented. */
  readonly depth: number;
  /** Null when there is nothing to unfold. */
  readonly isOpen: boolean | null;
}

/** Up to so many rows are unfolded at first. */
const ROWS_AT_FIRST = 200;

/** How many levels are shown at first: as many as fit, and at least the root and its children. */
export function levelsAtFirst(jobs: Jobs): number {
  const perLevel: number[] = [];
  for (const job of jobs.byId.values()) perLevel[job.depth] = (perLevel[job.depth] ?? 0) + 1;
  let rows = 0;
  const tooDeep = perLevel.findIndex((count) => (rows += count) > ROWS_AT_FIRST);
  return tooDeep < 0 ? perLevel.length : Math.max(2, tooDeep);
}

/** The rows in the order of the tree, without what is folded. */
export function treeRows(jobs: Jobs, isOpen: (job: BoardJob) => boolean): Row[] {
  const rows: Row[] = [];
  const open: string[] = [jobs.rootId];
  while (open.length > 0) {
    const job = jobs.get(open.pop() ?? "");
    if (job === undefined) continue;
    const unfolded = job.children.length === 0 ? null : isOpen(job);
    rows.push({ job, depth: job.depth, isOpen: unfolded });
    if (unfolded === true) for (let at = job.children.length - 1; at >= 0; at--) open.push(job.children[at] ?? "");
  }
  return rows;
}

/** All jobs, one below the other, in another order than the tree's. */
export function flatRows(jobs: Iterable<BoardJob>, order: Exclude<Order, "tree">, now: number): Row[] {
  const key = order === "start" ? (job: BoardJob) => job.startedAt ?? Infinity : (job: BoardJob) => -lengthOf(job, now);
  const keyed = [...jobs].map((job) => ({ job, key: key(job) }));
  keyed.sort((left, right) => (left.key === right.key ? 0 : left.key - right.key));
  return keyed.map(({ job }) => ({ job, depth: 0, isOpen: null }));
}

/** From when to when anything of a job and what is below it happened. */
export function spanBelow(jobs: Jobs, top: BoardJob, now: number): { from: number; to: number } | null {
  let from = Infinity;
  let to = -Infinity;
  const open = [top];
  for (let job = open.pop(); job !== undefined; job = open.pop()) {
    if (job.startedAt !== null) {
      from = Math.min(from, job.startedAt);
      to = Math.max(to, job.finishedAt ?? now);
    }
    for (const id of job.children) {
      const child = jobs.get(id);
      if (child !== undefined) open.push(child);
    }
  }
  return from === Infinity ? null : { from, to };
}

function lengthOf(job: BoardJob, now: number): number {
  return job.startedAt === null ? -1 : (job.finishedAt ?? now) - job.startedAt;
}

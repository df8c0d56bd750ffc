/**
 * What of a flow's tree is shown. A small flow is shown whole; of a large one the upper part, as much as can be taken in
 * at a glance, and the rest is folded: below a job, or beside its siblings. What somebody has opened or closed goes first.
 */
import type { BoardJob, Jobs } from "../../../board/jobs";

/** Flows of up to so many jobs are shown whole. */
export const SMALL_FLOW = 60;
/** Of many siblings so many are always shown; the others come in pages. */
const FIRST_SIBLINGS = 10;
/** A handful more than the first is shown rather than hidden. */
const NOT_WORTH_HIDING = 5;
export const SIBLINGS_PAGE = 50;

/** What somebody has opened and closed; everything else is as `openByDefault` says. */
export interface Folding {
  readonly wishes: ReadonlyMap<string, boolean>;
  /** The pages of siblings that are shown, by their parent. */
  readonly pages: ReadonlyMap<string, ReadonlySet<number>>;
}

export const NOTHING_WISHED: Folding = { wishes: new Map(), pages: new Map() };

/** Siblings from `from` up to, not including, `to`: shown, or hidden behind one card. */
export interface Stretch {
  from: number;
  to: number;
  isShown: boolean;
}

/** The jobs that show their children unless somebody wished otherwise: whole levels, as long as they fit. */
export function openByDefault(jobs: Jobs): ReadonlySet<string> {
  const open = new Set<string>();
  const isSmall = jobs.byId.size <= SMALL_FLOW;
  let level = jobs.root === undefined ? [] : [jobs.root];
  let shown = level.length;
  while (level.length > 0) {
    const parents = level.filter((job) => job.children.length > 0);
    const below = parents.flatMap((job) => firstChildren(jobs, job, isSmall));
    shown += below.length;
    // The root says the least of all when it is alone: its children are always shown.
    if (shown > SMALL_FLOW && open.size > 0) break;
    for (const job of parents) open.add(job.id);
    level = below;
  }
  return open;
}

export function isOpen(id: string, folding: Folding, byDefault: ReadonlySet<string>): boolean {
  return folding.wishes.get(id) ?? byDefault.has(id);
}

export function withWish(folding: Folding, id: string, open: boolean): Folding {
  return { ...folding, wishes: new Map(folding.wishes).set(id, open) };
}

/** The same with the page on which this sibling stands. */
export function withPageAt(folding: Folding, parentId: string, place: number): Folding {
  if (place < FIRST_SIBLINGS) return folding;
  const pages = new Set(folding.pages.get(parentId)).add(pageAt(place));
  return { ...folding, pages: new Map(folding.pages).set(parentId, pages) };
}

/** The same with everything open that leads to this job. */
export function withWayTo(folding: Folding, jobs: Jobs, byDefault: ReadonlySet<string>, id: string): Folding {
  const way = [...jobs.above(id).map((job) => job.id), id];
  let wished = folding;
  way.slice(0, -1).forEach((parentId, step) => {
    if (!isOpen(parentId, wished, byDefault)) wished = withWish(wished, parentId, true);
    const siblings = jobs.get(parentId)?.children ?? [];
    const place = siblings.indexOf(way[step + 1] ?? "");
    if (!isPlaceShown(wished, parentId, siblings.length, jobs.byId.size, place)) wished = withPageAt(wished, parentId, place);
  });
  return wished;
}

/** The siblings below one parent in stretches that are shown and stretches that are hidden, in their order. */
export function stretches(folding: Folding, parentId: string, siblings: number, jobsOfFlow: number): Stretch[] {
  if (isShownWhole(siblings, jobsOfFlow)) return [{ from: 0, to: siblings, isShown: true }];
  const pages = folding.pages.get(parentId);
  const found: Stretch[] = [{ from: 0, to: FIRST_SIBLINGS, isShown: true }];
  for (let from = FIRST_SIBLINGS; from < siblings; from += SIBLINGS_PAGE) {
    const isShown = pages?.has(pageAt(from)) ?? false;
    const to = Math.min(from + SIBLINGS_PAGE, siblings);
    const last = found.at(-1);
    if (last !== undefined && last.isShown === isShown) last.to = to;
    else found.push({ from, to, isShown });
  }
  return found;
}

function isPlaceShown(folding: Folding, parentId: string, siblings: number, jobsOfFlow: number, place: number): boolean {
  return (
    isShownWhole(siblings, jobsOfFlow) ||
    place < FIRST_SIBLINGS ||
    (folding.pages.get(parentId)?.has(pageAt(place)) ?? false)
  );
}

function isShownWhole(siblings: number, jobsOfFlow: number): boolean {
  return jobsOfFlow <= SMALL_FLOW || siblings <= FIRST_SIBLINGS + NOT_WORTH_HIDING;
}

function pageAt(place: number): number {
  return Math.floor((place - FIRST_SIBLINGS) / SIBLINGS_PAGE);
}

function firstChildren(jobs: Jobs, job: BoardJob, isSmall: boolean): BoardJob[] {
  const ids = isSmall ? job.children : job.children.slice(0, FIRST_SIBLINGS);
  return ids.map((id) => jobs.get(id)).filter((child) => child !== undefined);
}

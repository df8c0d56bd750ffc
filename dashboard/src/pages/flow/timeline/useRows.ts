import { useMemo, useState } from "react";
import type { BoardJob, Jobs } from "../../../board/jobs";
import type { CriticalPath } from "./criticalPath";
import { flatRows, levelsAtFirst, treeRows, type Order, type Row } from "./rows";

interface Rows {
  rows: readonly Row[];
  order: Order;
  setOrder(order: Order): void;
  fold(job: BoardJob, isOpen: boolean): void;
  foldAll(isOpen: boolean): void;
}

/** The rows as somebody has ordered and folded them. `now` matters where they are ordered by time. */
export function useRows(jobs: Jobs, path: CriticalPath | null, now: number): Rows {
  const [order, setOrder] = useState<Order>("tree");
  const [folds, setFolds] = useState<Folds>({ byId: new Map(), all: null });
  const isRead = jobs.root !== undefined;
  // What was unfolded at first stays so while the flow grows.
  const levels = useMemo(() => levelsAtFirst(jobs), [isRead]);
  const everySecond = order === "tree" ? 0 : Math.floor(now / 1_000);
  const rows = useMemo(() => {
    if (path !== null) return pathRows(jobs, path);
    if (order !== "tree") return flatRows(jobs.byId.values(), order, now);
    return treeRows(jobs, (job) => folds.byId.get(job.id) ?? folds.all ?? job.depth < levels - 1);
  }, [jobs, jobs.byId.size, path, order, folds, levels, everySecond]);
  return {
    rows,
    order,
    setOrder,
    fold: (job, isOpen) => setFolds(({ byId, all }) => ({ byId: new Map(byId).set(job.id, isOpen), all })),
    foldAll: (isOpen) => setFolds({ byId: new Map(), all: isOpen }),
  };
}

interface Folds {
  byId: ReadonlyMap<string, boolean>;
  /** What holds for all others; null for the first levels. */
  all: boolean | null;
}

/** In the order of time, like a staircase. A job may be in the chain twice, and is shown once. */
function pathRows(jobs: Jobs, path: CriticalPath): Row[] {
  const ids = new Set(path.steps.map((step) => step.id));
  return [...ids].flatMap((id) => jobs.get(id) ?? []).map((job) => ({ job, depth: 0, isOpen: null }));
}

/** The flow's tree as the rows of a list. */
import type { Jobs } from "../../../board/jobs";
import { isOpen, type Folding } from "./folding";
import type { Fold } from "./layout";

export interface Row {
  id: string;
  parentId: string | null;
  depth: number;
  fold: Fold;
  /** Its place among its siblings, from 0, and how many they are. */
  place: number;
  siblings: number;
}

/** Each job whose parents are all open, in tree order. */
export function rowsOf(jobs: Jobs, folding: Folding, byDefault: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  const add = (id: string, parentId: string | null, depth: number, place: number, siblings: number) => {
    const children = jobs.get(id)?.children ?? [];
    const fold = children.length === 0 ? "leaf" : isOpen(id, folding, byDefault) ? "open" : "folded";
    rows.push({ id, parentId, depth, fold, place, siblings });
    if (fold === "open") children.forEach((child, at) => add(child, id, depth + 1, at, children.length));
  };
  if (jobs.root !== undefined) add(jobs.rootId, null, 0, 0, 1);
  return rows;
}

/** What a key does in the list: go to a row, or open or fold the one we are at. */
export type Move = { to: number } | { toggle: string } | null;

export function moveOf(rows: readonly Row[], at: number, key: string): Move {
  const row = rows[at];
  if (row === undefined) return rows.length > 0 && key.startsWith("Arrow") ? { to: 0 } : null;
  switch (key) {
    case "ArrowDown":
      return { to: Math.min(at + 1, rows.length - 1) };
    case "ArrowUp":
      return { to: Math.max(at - 1, 0) };
    case "PageDown":
      return { to: Math.min(at + 10, rows.length - 1) };
    case "PageUp":
      return { to: Math.max(at - 10, 0) };
    case "Home":
      return { to: 0 };
    case "End":
      return { to: rows.length - 1 };
    case "ArrowRight":
      return row.fold === "folded" ? { toggle: row.id } : row.fold === "open" ? { to: at + 1 } : null;
    case "ArrowLeft":
      if (row.fold === "open") return { toggle: row.id };
      return row.parentId === null ? null : { to: rows.findLastIndex((other, place) => place < at && other.id === row.parentId) };
    default:
      return null;
  }
}

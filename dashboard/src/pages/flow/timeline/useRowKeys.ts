import { useEffect, useRef, useState, type KeyboardEvent, type RefObject } from "react";
import type { BoardJob } from "../../../board/jobs";
import type { Row } from "./rows";

const PAGE = 15;

interface RowKeysProps {
  scroller: RefObject<HTMLDivElement | null>;
  rows: readonly Row[];
  onSelect(jobId: string): void;
  onFold(job: BoardJob, isOpen: boolean): void;
  onZoom(factor: number): void;
  onFit(): void;
  onEscape(): void;
  goTo(index: number): void;
}

interface RowKeys {
  press(event: KeyboardEvent, index: number): void;
  /** This row has the focus now. */
  reached(id: string): void;
  /** The row, of those that are drawn, to which Tab comes. */
  reachable(drawn: readonly string[]): string | undefined;
}

/** The keys of a tree: arrows walk and fold, Enter chooses; + and - zoom, 0 fits. */
export function useRowKeys({ scroller, rows, onSelect, onFold, onZoom, onFit, onEscape, goTo }: RowKeysProps): RowKeys {
  const [reachable, setReachable] = useState<string | null>(null);
  const wanted = useRef<string | null>(null);

  // A row that was out of sight is there only after the list has moved.
  useEffect(() => {
    if (wanted.current === null) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(wanted.current)}"]`);
    if (row == null) return;
    wanted.current = null;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  const walk = (index: number) => {
    const place = Math.max(0, Math.min(rows.length - 1, index));
    const row = rows[place];
    if (row === undefined) return;
    wanted.current = row.job.id;
    setReachable(row.job.id);
    goTo(place);
  };
  const outwards = (row: Row, index: number) => {
    if (row.isOpen === true) onFold(row.job, false);
    else if (row.job.parentId !== null) walk(rows.findLastIndex(({ job }, at) => at < index && job.id === row.job.parentId));
  };
  const inwards = (row: Row, index: number) => {
    if (row.isOpen === false) onFold(row.job, true);
    else if (row.isOpen === true) walk(index + 1);
  };
  const keys: Record<string, (row: Row, index: number) => void> = {
    ArrowDown: (_, index) => walk(index + 1),
    ArrowUp: (_, index) => walk(index - 1),
    PageDown: (_, index) => walk(index + PAGE),
    PageUp: (_, index) => walk(index - PAGE),
    Home: () => walk(0),
    End: () => walk(rows.length - 1),
    ArrowLeft: outwards,
    ArrowRight: inwards,
    Enter: (row) => onSelect(row.job.id),
    " ": (row) => onSelect(row.job.id),
    "+": () => onZoom(1.5),
    "=": () => onZoom(1.5),
    "-": () => onZoom(1 / 1.5),
    "0": onFit,
    Escape: onEscape,
  };
  return {
    press: (event, index) => {
      const act = keys[event.key];
      const row = rows[index];
      if (act === undefined || row === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act(row, index);
    },
    reached: setReachable,
    reachable: (drawn) => (reachable !== null && drawn.includes(reachable) ? reachable : drawn[0]),
  };
}

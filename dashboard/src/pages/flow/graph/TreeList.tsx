/** The flow's tree as a list: the same as the graph for a narrow screen, a screen reader, or whoever likes lists. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type { Board } from "../../../board/board";
import type { Jobs } from "../../../board/jobs";
import type { Folding } from "./folding";
import { moveOf, rowsOf } from "./rows";
import { rowElement, TreeRow } from "./TreeRow";
import classes from "./list.module.css";

const ROW_HEIGHT = 46;

interface TreeListProps {
  board: Board;
  jobs: Jobs;
  folding: Folding;
  byDefault: ReadonlySet<string>;
  selected: string | null;
  found: { id: string } | null;
  onSelect(id: string | null): void;
  onToggle(id: string): void;
}

export function TreeList({ board, jobs, folding, byDefault, selected, found, onSelect, onToggle }: TreeListProps) {
  const list = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => rowsOf(jobs, folding, byDefault), [jobs, jobs.byId.size, folding, byDefault]);
  const [current, setCurrent] = useState(selected);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => list.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (at) => rows[at]?.id ?? at,
    overscan: 8,
  });
  const shown = virtual.getVirtualItems();
  const at = useMemo(() => rows.findIndex((row) => row.id === current), [rows, current]);

  const goTo = (id: string | null) => {
    setCurrent(id);
    const place = rows.findIndex((row) => row.id === id);
    if (place >= 0) virtual.scrollToIndex(place, { align: "auto" });
  };
  useEffect(() => {
    if (found !== null) goTo(found.id);
  }, [found]);
  useEffect(() => {
    if (selected !== null) goTo(selected);
  }, [selected]);

  const act = useRef({ onSelect, onToggle });
  act.current = { onSelect, onToggle };
  const handlers = useMemo(
    () => ({
      open: (id: string) => {
        setCurrent(id);
        act.current.onSelect(id);
      },
      toggle: (id: string) => act.current.onToggle(id),
    }),
    [],
  );

  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Escape") return onSelect(null);
    if ((event.key === "Enter" || event.key === " ") && current !== null) {
      event.preventDefault();
      return onSelect(current);
    }
    const move = moveOf(rows, at, event.key);
    if (move === null) return;
    event.preventDefault();
    if ("toggle" in move) onToggle(move.toggle);
    else goTo(rows[move.to]?.id ?? null);
  };

  const isCurrentShown = shown.some(({ index }) => index === at);
  return (
    <div
      ref={list}
      className={classes.list}
      role="tree"
      aria-label="The flow's jobs"
      tabIndex={0}
      aria-activedescendant={isCurrentShown && current !== null ? rowElement(current) : undefined}
      onKeyDown={pressed}
      onFocus={() => at < 0 && setCurrent(rows[0]?.id ?? null)}
    >
      <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {shown.map(({ index, start, key }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <TreeRow
              key={key}
              board={board}
              row={row}
              top={start}
              height={ROW_HEIGHT}
              isSelected={row.id === selected}
              isCurrent={row.id === current}
              onOpen={handlers.open}
              onToggle={handlers.toggle}
            />
          );
        })}
      </div>
    </div>
  );
}

/** Flows as a table, or as cards on a narrow screen. Of a long list only what is near the window is drawn. */
import { Table } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { FlowCard } from "./FlowCard";
import { COLUMNS, FlowRow } from "./FlowRow";
import classes from "./flows.module.css";
import type { Row } from "./rows";
import { useIsNarrow } from "./useIsNarrow";

const ROW_PX = 45;
const CARD_PX = 148;
/** Shorter lists are drawn whole. */
const LONG = 60;

export function FlowTable({ rows }: { rows: readonly Row[] }) {
  return useIsNarrow() ? <Cards rows={rows} /> : <Lines rows={rows} />;
}

function Lines({ rows }: { rows: readonly Row[] }) {
  const { box, seen, before, after } = useSeen(rows, ROW_PX);
  return (
    <div ref={box} onKeyDown={walk}>
      <Table
        highlightOnHover
        verticalSpacing={0}
        horizontalSpacing="xs"
        layout="fixed"
        aria-label="Flows"
        aria-rowcount={rows.length + 1}
        className={classes.table}
      >
        <Table.Thead>
          <Table.Tr aria-rowindex={1}>
            {COLUMNS.map(({ word, width, from }) => (
              <Table.Th key={word} w={width} visibleFrom={from}>
                {word}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {before > 0 && <Space px={before} />}
          {seen.map(([row, place]) => (
            <FlowRow key={row.flow.id} row={row} place={place + 2} />
          ))}
          {after > 0 && <Space px={after} />}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Space({ px }: { px: number }) {
  return (
    <tr aria-hidden>
      <td colSpan={COLUMNS.length} style={{ height: px, padding: 0, border: 0 }} />
    </tr>
  );
}

function Cards({ rows }: { rows: readonly Row[] }) {
  const { box, seen, before, after } = useSeen(rows, CARD_PX);
  return (
    <div ref={box} onKeyDown={walk}>
      <ul className={classes.cards} aria-label="Flows" style={{ paddingTop: before, paddingBottom: after }}>
        {seen.map(([row, place]): ReactNode => (
          <li key={row.flow.id} aria-setsize={rows.length} aria-posinset={place + 1} style={{ height: CARD_PX }}>
            <FlowCard row={row} />
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Seen {
  box: React.RefObject<HTMLDivElement | null>;
  /** The rows to draw, with their places in the list. */
  seen: [Row, number][];
  /** The height of what is not drawn. */
  before: number;
  after: number;
}

function useSeen(rows: readonly Row[], height: number): Seen {
  const box = useRef<HTMLDivElement>(null);
  const [offset, setOffset] = useState(0);
  useLayoutEffect(() => {
    const top = (box.current?.getBoundingClientRect().top ?? 0) + window.scrollY;
    setOffset((known) => (Math.abs(known - top) < 1 ? known : top));
  });
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => height,
    overscan: 12,
    scrollMargin: offset,
    getItemKey: (place) => rows[place]?.flow.id ?? place,
  });
  if (rows.length <= LONG) return { box, seen: rows.map((row, place) => [row, place]), before: 0, after: 0 };
  const items = virtual.getVirtualItems();
  return {
    box,
    seen: items.flatMap(({ index }) => (rows[index] === undefined ? [] : [[rows[index], index] as [Row, number]])),
    before: (items[0]?.start ?? offset) - offset,
    after: virtual.getTotalSize() - ((items.at(-1)?.end ?? offset) - offset),
  };
}

/** Arrow keys walk from flow to flow. */
function walk(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-flow]")];
  const place = links.findIndex((link) => link === document.activeElement);
  const next = place < 0 ? undefined : links[place + (event.key === "ArrowDown" ? 1 : -1)];
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}

import { Group, SegmentedControl, Skeleton, Stack } from "@mantine/core";
import { lazy, memo, Suspense, useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import type { Board } from "../../../board/board";
import { placeOf } from "../../../board/jobs";
import { useOnBoard } from "../../../board/useOnBoard";
import { useIsNarrow } from "../../../parts/useIsNarrow";
import { isOpen, NOTHING_WISHED, openByDefault, withPageAt, withWayTo, withWish } from "./folding";
import { layOut } from "./layout";
import { ALL_FAILED, changesWith, found as findIn, step } from "./search";
import { SearchBox } from "./SearchBox";
import { TreeList } from "./TreeList";

// A narrow screen begins with the list and may never need this.
const Canvas = lazy(() => import("./Canvas"));

interface GraphProps {
  board: Board;
  selected: string | null;
  onSelect(id: string | null): void;
}

const SHAPES = [
  { value: "graph", label: "Graph" },
  { value: "list", label: "List" },
];

/**
 * A flow's tree, live: as a graph, or as a list, which is what a narrow screen gets first. What changes with the board is
 * watched where it is shown, so the page around it may be drawn again with every change.
 */
export const Graph = memo(function Graph({ board, selected, onSelect }: GraphProps) {
  const isNarrow = useIsNarrow();
  const [wished, setWished] = useState<string | null>(null);
  const shape = wished ?? (isNarrow ? "list" : "graph");

  const jobs = useOnBoard(board, (now) => now);
  const size = useOnBoard(board, (now) => now.byId.size);
  const failed = useOnBoard(board, (now) => now.counts[placeOf("failed")] ?? 0);
  const byDefault = useMemo(() => openByDefault(jobs), [jobs, size]);
  const [folding, setFolding] = useState(NOTHING_WISHED);

  const [query, setQuery] = useState("");
  const asked = useDeferredValue(query);
  const changes = useOnBoard(board, (now) => changesWith(now, asked));
  const matches = useMemo(() => findIn(jobs, asked), [jobs, size, asked, changes]);
  const [found, setFound] = useState<{ id: string } | null>(null);

  const openWayTo = (id: string) => setFolding((before) => withWayTo(before, board.jobs, byDefault, id));
  const goTo = (id: string | null) => {
    if (id === null) return;
    openWayTo(id);
    setFound({ id });
  };
  const ask = (next: string) => {
    setQuery(next);
    if (next === "") setFound(null);
  };
  // Whoever selects a job elsewhere sees it here.
  useEffect(() => {
    if (selected !== null && board.jobs.get(selected) !== undefined) openWayTo(selected);
  }, [selected, jobs]);

  const toggle = useCallback(
    (id: string) => setFolding((before) => withWish(before, id, !isOpen(id, before, byDefault))),
    [byDefault],
  );
  const showPage = useCallback(
    (parentId: string, place: number) => setFolding((before) => withPageAt(before, parentId, place)),
    [],
  );
  const layout = useMemo(
    () => (shape === "graph" && size > 0 ? layOut(jobs, folding, byDefault) : null),
    [shape, jobs, size, folding, byDefault],
  );

  if (size === 0) return <Skeleton height={380} role="status" aria-label="Loading" />;
  return (
    <Stack gap="sm">
      <Group gap="sm" justify="space-between">
        <SearchBox
          query={query}
          onQuery={ask}
          matches={matches.length}
          place={found === null ? -1 : matches.indexOf(found.id)}
          onStep={(by) => goTo(step(matches, found?.id ?? null, by))}
          failed={failed}
          onFailed={() => {
            setQuery(ALL_FAILED);
            goTo(findIn(board.jobs, ALL_FAILED)[0] ?? null);
          }}
        />
        <SegmentedControl data={SHAPES} value={shape} onChange={setWished} size="sm" aria-label="Shown as" flex="none" />
      </Group>
      {layout !== null ? (
        <Suspense fallback={<Skeleton height={380} role="status" aria-label="Loading" />}>
          <Canvas
            board={board}
            layout={layout}
            selected={selected}
            found={found}
            onSelect={onSelect}
            onToggle={toggle}
            onShowPage={showPage}
          />
        </Suspense>
      ) : (
        <TreeList
          board={board}
          jobs={jobs}
          folding={folding}
          byDefault={byDefault}
          selected={selected}
          found={found}
          onSelect={onSelect}
          onToggle={toggle}
        />
      )}
    </Stack>
  );
});

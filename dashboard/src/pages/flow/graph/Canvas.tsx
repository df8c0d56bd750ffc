/** The graph itself: cards and edges in a window that can be moved, with a keyboard as well. */
import "@xyflow/react/dist/base.css";
import { Background, Panel, ReactFlow, ReactFlowProvider, type NodeChange } from "@xyflow/react";
import { useComputedColorScheme } from "@mantine/core";
import { useMemo, useRef, type CSSProperties, type KeyboardEvent } from "react";
import type { Board } from "../../../board/board";
import { ViewButtons } from "./ViewButtons";
import { edgesOf, nodesOf, type CardNode } from "./elements";
import { GapCard } from "./GapCard";
import { InGraph, type GraphContext } from "./graphContext";
import { JobCard } from "./JobCard";
import type { Layout } from "./layout";
import { neighbour } from "./neighbours";
import { EdgeMarks, ResultEdge } from "./ResultEdge";
import { useView } from "./useView";
import classes from "./graph.module.css";

/** Pixels of the window that no card takes: a margin, and the buttons below. */
const AROUND = 140;

interface CanvasProps {
  board: Board;
  layout: Layout;
  selected: string | null;
  /** The match of the search that is to be brought into the middle; a new object with every step. */
  found: { id: string } | null;
  onSelect(id: string | null): void;
  onToggle(id: string): void;
  onShowPage(parentId: string, place: number): void;
}

export default function Canvas(props: CanvasProps) {
  return (
    <ReactFlowProvider>
      <EdgeMarks />
      <Window {...props} />
    </ReactFlowProvider>
  );
}

function Window({ board, layout, selected, found, onSelect, onToggle, onShowPage }: CanvasProps) {
  const frame = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const nodes = useMemo(() => nodesOf(layout, selected, found?.id ?? null), [layout, selected, found]);
  const edges = useMemo(() => edgesOf(layout, selected), [layout, selected]);
  const moves = useView({ frame, layout, selected, found });
  const current = useRef({ moves, onToggle, onShowPage });
  current.current = { moves, onToggle, onShowPage };

  // It never changes, so that no card is drawn again because of it.
  const context = useMemo<GraphContext>(
    () => ({
      board,
      toggle: (id) => {
        current.current.moves.hold(id, id);
        current.current.onToggle(id);
      },
      showPage: (parentId, place) => {
        current.current.moves.hold(`gap:${parentId}:${place}`, board.jobs.get(parentId)?.children[place] ?? parentId);
        current.current.onShowPage(parentId, place);
      },
    }),
    [board],
  );

  const changed = (changes: NodeChange<CardNode>[]) => {
    const selections = changes.filter((change) => change.type === "select");
    const chosen = selections.find((change) => change.selected);
    if (chosen !== undefined) onSelect(chosen.id);
    else if (selections.some((change) => change.id === selected)) onSelect(null);
  };

  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Escape") onSelect(null);
    const here = event.target instanceof HTMLElement ? event.target.closest<HTMLElement>(".react-flow__node") : null;
    const id = here?.dataset.id;
    if (id === undefined || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const card = layout.byId.get(id)?.card;
    if (event.key === "ArrowRight" && card?.kind === "job" && card.fold === "folded") return context.toggle(id);
    const next = neighbour(layout, id, event.key);
    const placed = next === null ? undefined : layout.byId.get(next);
    if (placed !== undefined) moves.goTo(placed);
  };

  return (
    <InGraph.Provider value={context}>
      <div ref={frame} className={classes.frame} style={{ "--needed": `${layout.bounds.height + AROUND}px` } as CSSProperties}>
        <ReactFlow
          {...FIXED}
          aria-label="The flow's jobs as a graph"
          colorMode={scheme}
          nodes={nodes}
          edges={edges}
          onNodesChange={changed}
          onKeyDown={pressed}
          onInit={() => moves.fit(0)}
        >
          <Background gap={22} size={1} color={scheme === "dark" ? "var(--mantine-color-dark-5)" : "var(--mantine-color-gray-3)"} />
          <Panel position="bottom-left">
            <ViewButtons onFit={() => moves.fit()} />
          </Panel>
        </ReactFlow>
      </div>
    </InGraph.Provider>
  );
}

/** What of the graph is always so: it is looked at and not edited. */
const FIXED = {
  nodeTypes: { job: JobCard, gap: GapCard },
  edgeTypes: { result: ResultEdge },
  ariaLabelConfig: {
    "node.a11yDescription.default":
      "Press Enter to open the job's details. The arrow keys lead to its parent, its children and its neighbours.",
  },
  onlyRenderVisibleElements: true,
  autoPanOnNodeFocus: false,
  nodesDraggable: false,
  nodesConnectable: false,
  elevateNodesOnSelect: false,
  deleteKeyCode: null,
  selectionKeyCode: null,
  multiSelectionKeyCode: null,
  panActivationKeyCode: null,
  // The wheel is the page's; with Ctrl it zooms.
  zoomOnScroll: false,
  preventScrolling: false,
  zoomOnDoubleClick: false,
  minZoom: 0.1,
  maxZoom: 1.6,
};

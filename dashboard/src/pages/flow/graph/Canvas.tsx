/** The graph itself: cards and edges in a window that can be moved, with a keyboard as well. */
import "@xyflow/react/dist/base.css";
import { Background, Panel, ReactFlow, ReactFlowProvider, useReactFlow, type NodeChange } from "@xyflow/react";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useLayoutEffect, useMemo, useRef, type CSSProperties, type KeyboardEvent } from "react";
import type { Board } from "../../../board/board";
import { PANEL_ID } from "../panel/place";
import { ViewButtons } from "./ViewButtons";
import { edgesOf, nodesOf, type CardNode } from "./elements";
import { GapCard } from "./GapCard";
import { InGraph, type GraphContext } from "./graphContext";
import { JobCard } from "./JobCard";
import type { Layout, Placed } from "./layout";
import { neighbour } from "./neighbours";
import { EdgeMarks, ResultEdge } from "./ResultEdge";
import { firstView, viewAround, viewHolding, viewWith, type View } from "./view";
import classes from "./graph.module.css";

const NODE_TYPES = { job: JobCard, gap: GapCard };
const EDGE_TYPES = { result: ResultEdge };
const WORDS = {
  "node.a11yDescription.default": "Press Enter to open the job's details. The arrow keys lead to its parent, its children and its neighbours.",
};
const MOVE_MS = 250;
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
  const { getViewport, setViewport } = useReactFlow();
  const held = useRef<{ before: Placed; afterId: string } | null>(null);
  const nodes = useMemo(() => nodesOf(layout, selected, found?.id ?? null), [layout, selected, found]);
  const edges = useMemo(() => edgesOf(layout, selected), [layout, selected]);
  const current = useRef({ layout, onToggle, onShowPage });
  current.current = { layout, onToggle, onShowPage };

  const context = useMemo<GraphContext>(() => {
    const hold = (id: string, afterId: string) => {
      const before = current.current.layout.byId.get(id);
      held.current = before === undefined ? null : { before, afterId };
    };
    return {
      board,
      toggle: (id) => {
        hold(id, id);
        current.current.onToggle(id);
      },
      showPage: (parentId, place) => {
        hold(`gap:${parentId}:${place}`, board.jobs.get(parentId)?.children[place] ?? parentId);
        current.current.onShowPage(parentId, place);
      },
    };
  }, [board]);

  const show = (view: View, duration = MOVE_MS) =>
    void setViewport(view, { duration: window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : duration });

  // What was pressed stays under the pointer when cards come or go around it.
  useLayoutEffect(() => {
    const after = held.current === null ? undefined : layout.byId.get(held.current.afterId);
    if (held.current !== null && after !== undefined) {
      show(viewHolding(getViewport(), held.current.before, after), 0);
      // The button that was pressed may be gone, and the focus with it.
      afterDrawing(() => document.activeElement === document.body && focusCard(frame.current, after.card.id));
    }
    held.current = null;
  }, [layout]);

  useEffect(() => {
    const card = found === null ? undefined : layout.byId.get(found.id);
    if (card === undefined) return;
    frame.current?.scrollIntoView({ block: "nearest" });
    show(viewAround(getViewport(), card, room(frame.current)));
  }, [found]);

  useEffect(() => {
    // The panel of the selected job may lie over the graph: it is waited for.
    const waiting = requestAnimationFrame(() => {
      const card = selected === null ? undefined : current.current.layout.byId.get(selected);
      if (card !== undefined) show(viewWith(getViewport(), card, room(frame.current)));
    });
    return () => cancelAnimationFrame(waiting);
  }, [selected]);

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
    if (placed === undefined) return;
    show(viewWith(getViewport(), placed, room(frame.current)), 0);
    frame.current?.scrollIntoView({ block: "nearest" });
    afterDrawing(() => focusCard(frame.current, placed.card.id));
  };

  return (
    <InGraph.Provider value={context}>
      <div ref={frame} className={classes.frame} style={{ "--needed": `${layout.bounds.height + AROUND}px` } as CSSProperties}>
        <ReactFlow
          aria-label="The flow's jobs as a graph"
          colorMode={scheme}
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          onNodesChange={changed}
          onKeyDown={pressed}
          onInit={() => show(firstView(layout, room(frame.current)), 0)}
          ariaLabelConfig={WORDS}
          onlyRenderVisibleElements
          autoPanOnNodeFocus={false}
          nodesDraggable={false}
          nodesConnectable={false}
          elevateNodesOnSelect={false}
          deleteKeyCode={null}
          selectionKeyCode={null}
          multiSelectionKeyCode={null}
          panActivationKeyCode={null}
          // The wheel is the page's; with Ctrl it zooms.
          zoomOnScroll={false}
          preventScrolling={false}
          zoomOnDoubleClick={false}
          minZoom={0.1}
          maxZoom={1.6}
        >
          <Background gap={22} size={1} color={scheme === "dark" ? "var(--mantine-color-dark-5)" : "var(--mantine-color-gray-3)"} />
          <Panel position="bottom-left">
            <ViewButtons onFit={() => show(firstView(layout, room(frame.current)))} />
          </Panel>
        </ReactFlow>
      </div>
    </InGraph.Provider>
  );
}

/** The part of the window that the panel of a job does not cover. */
function room(frame: HTMLElement | null): { width: number; height: number } {
  const box = frame?.getBoundingClientRect();
  if (box === undefined) return { width: 0, height: 0 };
  const panel = document.getElementById(PANEL_ID)?.getBoundingClientRect();
  const covered = panel === undefined ? 0 : Math.max(0, box.right - panel.left);
  return { width: Math.max(box.width - covered, box.width / 3), height: box.height };
}

/** Only what is in sight is drawn: what has come into sight can be reached two frames later. */
function afterDrawing(act: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(act));
}

function focusCard(frame: HTMLElement | null, id: string): void {
  const card = frame?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
  (card?.tabIndex === 0 ? card : card?.querySelector("button"))?.focus({ preventScroll: true });
}

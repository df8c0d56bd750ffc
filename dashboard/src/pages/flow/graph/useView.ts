/** What of the graph is in the window, and what brings something else into it. */
import { useReactFlow } from "@xyflow/react";
import { useEffect, useLayoutEffect, useRef, type RefObject } from "react";
import { PANEL_ID } from "../panel/place";
import type { Layout, Placed } from "./layout";
import { firstView, viewAround, viewHolding, viewWith, type View } from "./view";

const MOVE_MS = 250;

interface Wanted {
  frame: RefObject<HTMLDivElement | null>;
  layout: Layout;
  selected: string | null;
  found: { id: string } | null;
}

interface Moves {
  /** The whole tree, or as much of it as can be read. */
  fit(duration?: number): void;
  /** Have a card in sight and give it the focus. */
  goTo(placed: Placed): void;
  /** Before the layout changes: what lies here now is to lie where it was, as `afterId`. */
  hold(id: string, afterId: string): void;
}

export function useView({ frame, layout, selected, found }: Wanted): Moves {
  const { getViewport, setViewport } = useReactFlow();
  const held = useRef<{ before: Placed; afterId: string } | null>(null);
  const current = useRef(layout);
  current.current = layout;

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
      const card = selected === null ? undefined : current.current.byId.get(selected);
      if (card !== undefined) show(viewWith(getViewport(), card, room(frame.current)));
    });
    return () => cancelAnimationFrame(waiting);
  }, [selected]);

  return {
    fit: (duration = MOVE_MS) => show(firstView(current.current, room(frame.current)), duration),
    goTo: (placed) => {
      show(viewWith(getViewport(), placed, room(frame.current)), 0);
      frame.current?.scrollIntoView({ block: "nearest" });
      afterDrawing(() => focusCard(frame.current, placed.card.id));
    },
    hold: (id, afterId) => {
      const before = current.current.byId.get(id);
      held.current = before === undefined ? null : { before, afterId };
    },
  };
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

/** Which part of the graph is looked at. */
import type { Layout, Placed } from "./layout";

export interface View {
  x: number;
  y: number;
  zoom: number;
}

interface Size {
  width: number;
  height: number;
}

const MARGIN = 28;
/** Below this, names cannot be read. */
const READABLE = 0.62;
const LARGEST_FIRST = 1;

/** All of it, if that can be read; otherwise the root at the left edge, and what stands beside it. */
export function firstView(layout: Layout, window: Size): View {
  const { bounds } = layout;
  const zoom = Math.min(
    (window.width - 2 * MARGIN) / bounds.width,
    (window.height - 2 * MARGIN) / bounds.height,
    LARGEST_FIRST,
  );
  if (zoom >= READABLE) return centred(bounds.x + bounds.width / 2, bounds.y + bounds.height / 2, zoom, window);
  const root = layout.cards[0];
  const middle = root === undefined ? 0 : root.y + root.height / 2;
  return { x: MARGIN, y: window.height / 2 - middle * READABLE, zoom: READABLE };
}

/** The same view, moved no further than needed for this card to be seen whole. */
export function viewWith(view: View, card: Placed, window: Size): View {
  const left = card.x * view.zoom + view.x;
  const top = card.y * view.zoom + view.y;
  return {
    zoom: view.zoom,
    x: view.x + shift(left, card.width * view.zoom, window.width),
    y: view.y + shift(top, card.height * view.zoom, window.height),
  };
}

/** This card in the middle, large enough to be read. */
export function viewAround(view: View, card: Placed, window: Size): View {
  return centred(card.x + card.width / 2, card.y + card.height / 2, Math.max(view.zoom, READABLE), window);
}

/** The same view after a new layout: this card stays where it was on the screen. */
export function viewHolding(view: View, before: Placed, after: Placed): View {
  return {
    zoom: view.zoom,
    x: view.x + (before.x - after.x) * view.zoom,
    y: view.y + (before.y - after.y) * view.zoom,
  };
}

function centred(x: number, y: number, zoom: number, window: Size): View {
  return { x: window.width / 2 - x * zoom, y: window.height / 2 - y * zoom, zoom };
}

function shift(start: number, length: number, room: number): number {
  if (start < MARGIN) return MARGIN - start;
  return Math.min(0, room - MARGIN - length - start);
}

/**
 * The log of one flow, as much of it as is looked at.
 *
 * Its numbers run from 1 to the board's last without a gap, so any stretch can be asked for by its place. It is kept in
 * windows: what is in sight is read first, and whoever wants every entry in order gets them as they come. Entries never
 * change, so what is read late or twice does no harm. The windows that were not looked at for longest are let go.
 */
import { useSyncExternalStore } from "react";
import { get, Problem } from "../api/rest";
import type { EventPage, FlowEvent } from "../api/types";
import type { Board } from "./board";

const WINDOW = 500;
const AT_A_TIME = 3;
const WINDOWS_KEPT = 200;
const AGAIN_AFTER_MS = 1_500;

/** Somebody who hears every entry once, in order, from the first on. */
export interface Reading {
  /** The entry it hears next. */
  next: number;
  take(event: FlowEvent): void;
}

export class EventLog {
  /** Grows with every change that is to be shown. */
  version = 0;
  problem: Problem | null = null;

  /** By their place; the one that was used last comes last. */
  private readonly windows = new Map<number, Window>();
  private readonly loading = new Set<number>();
  private readonly readings = new Set<Reading>();
  private readonly watchers = new Set<() => void>();
  private inSight = { first: 0, last: -1 };
  private frame: number | null = null;

  constructor(private readonly board: Board) {
    board.onEvent.add((event) => this.heard(event));
    board.watch(() => {
      // A new reading of the board may have jumped over entries that were read here before it.
      for (const reading of this.readings) this.feed(reading);
      this.load();
    });
  }

  /** The number of the last entry. It is never ahead of what the board shows. */
  get lastSeq(): number {
    return this.board.lastSeq;
  }

  /** An entry, if it is here. */
  get(seq: number): FlowEvent | undefined {
    return this.windows.get(placeOf(seq))?.items[(seq - 1) % WINDOW];
  }

  /** These are in sight: they are read next. */
  show(firstSeq: number, lastSeq: number): void {
    this.inSight = { first: placeOf(Math.max(1, firstSeq)), last: placeOf(Math.min(lastSeq, this.lastSeq)) };
    this.load();
  }

  /** Read everything, bit by bit, and go on with what comes. How far it is stands in `next`. */
  loadAll(take: (event: FlowEvent) => void): Reading {
    const reading: Reading = { next: 1, take };
    this.readings.add(reading);
    this.feed(reading);
    this.load();
    this.changed();
    return reading;
  }

  stop(reading: Reading): void {
    this.readings.delete(reading);
  }

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  private heard(event: FlowEvent): void {
    this.put(event);
    this.forget();
    for (const reading of this.readings) this.feed(reading);
    this.changed();
  }

  private load(): void {
    while (this.board.isOpen && this.loading.size < AT_A_TIME) {
      const place = this.nextToLoad();
      if (place === null) return;
      this.loading.add(place);
      void this.read(place);
    }
  }

  private nextToLoad(): number | null {
    const { first, last } = this.inSight;
    for (let place = first; place <= last; place++) if (this.isWanting(place)) return place;
    for (const { next } of this.readings) {
      for (let place = placeOf(next); place < placeOf(next) + AT_A_TIME; place++) if (this.isWanting(place)) return place;
    }
    return null;
  }

  private isWanting(place: number): boolean {
    return !this.loading.has(place) && this.firstMissing(place) !== null;
  }

  private firstMissing(place: number): number | null {
    const first = place * WINDOW + 1;
    const expected = Math.min(WINDOW, this.lastSeq - first + 1);
    const window = this.windows.get(place);
    if (expected <= 0 || (window !== undefined && window.count >= expected)) return null;
    if (window === undefined) return first;
    let seq = first;
    while (window.items[seq - first] !== undefined) seq++;
    return seq;
  }

  private async read(place: number): Promise<void> {
    const after = (this.firstMissing(place) ?? 1) - 1;
    try {
      const path = `/flows/${encodeURIComponent(this.board.flowId)}/events`;
      const page = await get<EventPage>(path, { after, limit: WINDOW });
      for (const event of page.items) this.put(event);
      this.problem = null;
      for (const reading of this.readings) this.feed(reading);
      if (this.firstMissing(place) === after + 1) await pause();
    } catch (error) {
      this.problem = error instanceof Problem ? error : new Problem(0, "Error", String(error));
      this.changed();
      await pause();
    }
    this.loading.delete(place);
    this.forget();
    this.changed();
    this.load();
  }

  private put(event: FlowEvent): void {
    const place = placeOf(event.seq);
    const window = this.windows.get(place) ?? { items: [], count: 0 };
    const at = (event.seq - 1) % WINDOW;
    if (window.items[at] === undefined) window.count += 1;
    window.items[at] = event;
    this.windows.delete(place);
    this.windows.set(place, window);
  }

  private feed(reading: Reading): void {
    // The board may not have heard yet of what has been read already.
    while (reading.next <= this.lastSeq) {
      const event = this.get(reading.next);
      if (event === undefined) return;
      reading.next += 1;
      reading.take(event);
      this.changed();
    }
  }

  private forget(): void {
    for (const place of this.windows.keys()) {
      if (this.windows.size <= WINDOWS_KEPT) return;
      const isInSight = place >= this.inSight.first && place <= this.inSight.last;
      if (!isInSight && !this.loading.has(place)) this.windows.delete(place);
    }
  }

  private changed(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.version += 1;
      for (const watcher of this.watchers) watcher();
    });
  }
}

/** The log of this board's flow. The component is drawn again with every change. */
export function useEventLog(board: Board): EventLog {
  const log = logOf(board);
  useSyncExternalStore(log.watch, () => log.version);
  return log;
}

interface Window {
  /** With holes where nothing was read yet. */
  items: (FlowEvent | undefined)[];
  count: number;
}

/** One log for each board, so that whoever shows it finds what others have read. */
const LOGS = new WeakMap<Board, EventLog>();

function logOf(board: Board): EventLog {
  const known = LOGS.get(board);
  if (known !== undefined) return known;
  const log = new EventLog(board);
  LOGS.set(board, log);
  return log;
}

function placeOf(seq: number): number {
  return Math.floor((seq - 1) / WINDOW);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
}

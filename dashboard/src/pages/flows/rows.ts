/**
 * The flows of a list, newest first, as pages and live summaries make it. Nothing here knows of time or network.
 *
 * Of each flow the summary with the greatest `lastSeq` is kept, wherever it comes from. Ids begin with their time, so
 * they are the order. While somebody reads further down, the list is *held*: what would come into it waits outside, and
 * what no longer matches the filters stays where it is, greyed; nothing moves under the eyes. At the top the list
 * lives: what is new comes in, and what no longer matches leaves.
 *
 * A page is as old as its question. What is heard while one is under way is remembered until it is here, so that a flow
 * that has left meanwhile does not come back as it was.
 */
import type { Flow, FlowPage } from "../../api/types";
import { matches, type Filters } from "./filters";

/** A list that lives is cut when it has grown longer than this; what is cut off is asked for again. */
const LONGEST = 1_000;
const CUT_TO = 500;
/** Flows that wait outside beyond these are not kept; then the list is asked for anew. */
const MOST_WAITING = 500;

export interface Row {
  flow: Flow;
  /** False for a flow that has matched, and matches no more. */
  matches: boolean;
}

export class Rows {
  /** What is to be shown, newest first. */
  shown: readonly Row[] = [];
  /** The cursor of the next page; null when there is none, or when it is not known after a cut. */
  next: string | null = null;
  /** Whether there are older flows than these. */
  hasMore = false;
  /** Whether the first page is here. */
  isRead = false;
  /** What waits outside is more than was kept, or does not join on: the list has to be asked for anew. */
  hasOverflown = false;
  /** How often the end was moved up: a page of older flows that was asked for before does not join on to it. */
  cuts = 0;

  private readonly flows = new Map<string, Flow>();
  private readonly waiting = new Map<string, Flow>();
  private readonly heard = new Map<string, Flow>();
  private pagesUnderWay = 0;
  private isHeld = false;

  constructor(readonly filters: Filters) {}

  /** The oldest flow that is shown. */
  get last(): Flow | undefined {
    return this.shown.at(-1)?.flow;
  }

  /** How many flows wait outside. */
  get waitingCount(): number {
    return this.waiting.size;
  }

  /** A page is asked for. */
  asked(): void {
    this.pagesUnderWay += 1;
  }

  /** It is here, and was taken in, or it has failed. */
  answered(): void {
    this.pagesUnderWay -= 1;
    if (this.pagesUnderWay === 0) this.heard.clear();
  }

  /** Take in the first page, which may have been read before: what lies in its range and is not in it is gone. */
  takeFirst(page: FlowPage): void {
    const end = page.next === null ? "" : (page.items.at(-1)?.id ?? "");
    this.forgetUnlisted(end, new Set(page.items.map((flow) => flow.id)));
    const newest = [...this.flows.keys()].reduce((one, other) => (one > other ? one : other), "");
    // Between this page and what is shown may lie flows that nobody has read.
    const isApart = this.isRead && newest < end;
    if (isApart && this.isHeld && newest !== "") {
      this.hasOverflown = true;
    } else if (!this.isRead || isApart) {
      for (const id of this.flows.keys()) if (id < end) this.flows.delete(id);
      this.turnTo(page);
      this.cuts += 1;
    }
    for (const flow of page.items) this.takeListed(flow, !this.isHeld || !this.isRead);
    this.isRead = true;
    this.arrange();
  }

  /** Take in a page of older flows. */
  takeMore(page: FlowPage): void {
    for (const flow of page.items) this.takeListed(flow, true);
    this.turnTo(page);
    this.arrange();
  }

  /** Take in a summary that was pushed. To be arranged afterwards. */
  hear(flow: Flow): void {
    if (this.pagesUnderWay > 0) this.heard.set(flow.id, newer(flow, this.heard.get(flow.id)));
    if (this.flows.has(flow.id)) return this.merge(flow, true);
    if (!matches(newer(flow, this.waiting.get(flow.id)), this.filters)) {
      this.waiting.delete(flow.id);
      return;
    }
    // What is older than the list has been read: its page will bring it.
    if (this.hasMore && flow.id < (this.last?.id ?? "")) return;
    this.merge(flow, !this.isHeld);
    if (this.flows.size > 2 * LONGEST && !this.isHeld) this.arrange(); // a hidden page draws no frames
  }

  /** Let nothing come in or leave; or let the list live again. */
  hold(isHeld: boolean): void {
    this.isHeld = isHeld;
    if (isHeld) return;
    for (const flow of this.waiting.values()) this.merge(flow, true);
    this.waiting.clear();
    this.arrange();
  }

  /** Put what has changed in its order. */
  arrange(): void {
    if (!this.isHeld) this.letGo();
    const sorted = [...this.flows.values()].sort((one, other) => (one.id < other.id ? 1 : -1));
    this.shown = sorted.map((flow) => ({ flow, matches: matches(flow, this.filters) }));
  }

  private turnTo(page: FlowPage): void {
    this.next = page.next;
    this.hasMore = page.next !== null;
  }

  private forgetUnlisted(end: string, listed: ReadonlySet<string>): void {
    for (const known of [this.flows, this.waiting]) {
      for (const id of known.keys()) if (id >= end && !listed.has(id) && !this.heard.has(id)) known.delete(id);
    }
  }

  private takeListed(flow: Flow, mayComeIn: boolean): void {
    const now = newer(flow, this.heard.get(flow.id));
    if (this.flows.has(flow.id) || matches(now, this.filters)) this.merge(now, mayComeIn);
  }

  private merge(flow: Flow, mayComeIn: boolean): void {
    const known = this.flows.get(flow.id) ?? this.waiting.get(flow.id);
    const now = newer(flow, known);
    if (mayComeIn || this.flows.has(flow.id)) this.flows.set(flow.id, now);
    else if (known !== undefined || this.waiting.size < MOST_WAITING) this.waiting.set(flow.id, now);
    else this.hasOverflown = true;
  }

  /** What matches no more, and of a list that has grown too long the end. */
  private letGo(): void {
    for (const [id, flow] of this.flows) if (!matches(flow, this.filters)) this.flows.delete(id);
    if (this.flows.size <= LONGEST || !this.isRead) return;
    const ids = [...this.flows.keys()].sort().reverse();
    for (const id of ids.slice(CUT_TO)) this.flows.delete(id);
    this.next = null;
    this.hasMore = true;
    this.cuts += 1;
  }
}

function newer(flow: Flow, known: Flow | undefined): Flow {
  if (known === undefined || flow.lastSeq > known.lastSeq) return flow;
  return flow.lastSeq === known.lastSeq && flow.updatedAt > known.updatedAt ? flow : known;
}

/** A list of flows on the screen: read page by page, and kept up by what is pushed. */
import { live } from "../../api/live";
import { get, Problem, type Parameters } from "../../api/rest";
import type { Flow, FlowPage } from "../../api/types";
import { parametersOf, type Filters } from "./filters";
import { Rows, type Row } from "./rows";

const PAGE = 50;
const AGAIN_AFTER_MS = 2_000;

export class FlowList {
  shown: readonly Row[] = [];
  /** Why the first, or the next, page could not be read. */
  error: unknown = null;
  isReading = false;
  isReadingMore = false;
  /** Grows with every change that is to be shown. */
  version = 0;

  private rows: Rows;
  private isHeld = false;
  private isOpen = false;
  private isToReadAgain = false;
  private stopHearing: (() => void) | null = null;
  private frame: number | null = null;
  private again: ReturnType<typeof setTimeout> | null = null;
  private readonly watchers = new Set<() => void>();

  constructor(private readonly filters: Filters) {
    this.rows = new Rows(filters);
  }

  get isRead(): boolean {
    return this.rows.isRead || this.shown.length > 0;
  }

  get hasMore(): boolean {
    return this.rows.hasMore;
  }

  get waitingCount(): number {
    return this.rows.waitingCount;
  }

  /** Whether more flows wait than are counted. */
  get hasOverflown(): boolean {
    return this.rows.hasOverflown;
  }

  open(): void {
    this.isOpen = true;
    this.stopHearing = live.followAll({
      flow: (flow) => this.heard(flow),
      missed: () => void this.read(),
    });
    void this.read();
  }

  close(): void {
    this.isOpen = false;
    this.stopHearing?.();
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    if (this.again !== null) clearTimeout(this.again);
    this.frame = this.again = this.stopHearing = null;
  }

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** Keep the place: nothing comes in or leaves until it is let go. */
  hold(isHeld: boolean): void {
    if (this.isHeld === isHeld) return;
    this.isHeld = isHeld;
    if (!isHeld && this.rows.hasOverflown) this.beginAnew();
    else this.rows.hold(isHeld);
    this.changed();
  }

  /** Read the first page, also again; what is older than what is known is left. */
  async read(): Promise<void> {
    if (this.isReading) {
      this.isToReadAgain = true; // what is under way was asked too early
      return;
    }
    this.isReading = true;
    this.changed();
    await this.ask({}, (rows, page) => rows.takeFirst(page));
    this.isReading = false;
    if (this.isToReadAgain && this.isOpen) {
      this.isToReadAgain = false;
      await this.read();
    } else if (isPassing(this.error)) {
      this.readSoon();
    }
    this.changed();
  }

  /** Read the page after the last row. */
  async readMore(): Promise<void> {
    if (this.isReadingMore || !this.rows.hasMore) return;
    this.isReadingMore = true;
    this.changed();
    const { cuts } = this.rows;
    await this.ask(this.afterLast(), (rows, page) => rows.cuts === cuts && rows.takeMore(page));
    this.isReadingMore = false;
    this.changed();
  }

  private async ask(parameters: Parameters, take: (rows: Rows, page: FlowPage) => void): Promise<void> {
    const rows = this.rows;
    rows.asked();
    try {
      const page = await get<FlowPage>("/flows", { ...parametersOf(this.filters), limit: PAGE, ...parameters });
      if (rows === this.rows) take(rows, page);
      this.error = null;
    } catch (error) {
      this.error = error;
    } finally {
      rows.answered();
    }
  }

  private afterLast(): Parameters {
    const { next, last } = this.rows;
    if (next !== null || last === undefined) return { cursor: next };
    // The end was cut off, and with it the cursor. One millisecond more: others may be of the same.
    const before = new Date(Date.parse(last.createdAt) + 1).toISOString();
    const { createdBefore } = this.filters;
    return { createdBefore: createdBefore !== "" && createdBefore < before ? createdBefore : before };
  }

  private heard(flow: Flow): void {
    this.rows.hear(flow);
    this.changed();
  }

  /** What is shown stays until the new first page is here. */
  private beginAnew(): void {
    this.rows = new Rows(this.filters);
    void this.read();
  }

  private readSoon(): void {
    if (!this.isOpen) return;
    this.again ??= setTimeout(() => {
      this.again = null;
      void this.read();
    }, AGAIN_AFTER_MS);
  }

  private changed(): void {
    if (!this.isOpen) return;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.rows.arrange();
      if (this.rows.isRead) this.shown = this.rows.shown;
      this.version += 1;
      for (const watcher of this.watchers) watcher();
    });
  }
}

/** Whether it may go away by itself; what was refused is refused again. */
function isPassing(error: unknown): boolean {
  return error instanceof Problem && (error.status === 0 || error.status >= 500);
}

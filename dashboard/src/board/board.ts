/**
 * One flow on the screen: read once, then kept up by its log.
 *
 * The outline says up to which entry it holds, and the log is followed from there, so nothing is missed and no state is
 * older than one that was shown. Many changes in one frame are shown together.
 */
import { get, Problem } from "../api/rest";
import { live } from "../api/live";
import { hasEnded, type Flow, type FlowEvent, type FlowStatus, type Line } from "../api/types";
import { Jobs, type OutlinedJob } from "./jobs";

interface Outline {
  flow: Flow;
  items: OutlinedJob[];
}

const AGAIN_AFTER_MS = 1_000;
/** After these the jobs are not what single entries tell: they are read again. */
const READ_AGAIN: ReadonlySet<string> = new Set(["flow.retried", "flow.recovered"]);
const ENDS: ReadonlySet<string> = new Set(["flow.completed", "flow.failed", "flow.cancelled"]);

export type EventListener = (event: FlowEvent) => void;
export type LineListener = (line: Line) => void;

export class Board {
  flow: Flow | null = null;
  jobs = new Jobs([]);
  problem: Problem | null = null;
  /** Grows with every change that is to be shown. */
  version = 0;
  /** The last entry that is in what is shown. */
  lastSeq = 0;
  /** Hears entries in order and none twice; what a new reading of the board has jumped over, it does not hear. */
  readonly onEvent = new Set<EventListener>();
  readonly onLine = new Set<LineListener>();
  /** Hears that the log is followed, again after each loss of the line: what has no number may have been missed. */
  readonly onSubscribed = new Set<() => void>();

  private readonly watchers = new Set<() => void>();
  private stopFollowing: (() => void) | null = null;
  private frame: number | null = null;
  private again: ReturnType<typeof setTimeout> | null = null;
  isOpen = false;
  private isReading = false;
  private isToReadAgain = false;

  constructor(readonly flowId: string) {}

  open(): void {
    this.isOpen = true;
    void this.read();
  }

  close(): void {
    this.isOpen = false;
    this.stopFollowing?.();
    this.stopFollowing = null;
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    if (this.again !== null) clearTimeout(this.again);
    this.frame = this.again = null;
  }

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** Read everything again. What is older than what is shown is thrown away. */
  async read(): Promise<void> {
    if (this.isReading) {
      this.isToReadAgain = true; // what is under way was asked too early
      return;
    }
    this.isReading = true;
    await this.ask();
    this.isReading = false;
    this.changed();
    if (this.isToReadAgain && this.isOpen) {
      this.isToReadAgain = false;
      await this.read();
    }
  }

  private async ask(): Promise<void> {
    try {
      const outline = await get<Outline>(`/flows/${encodeURIComponent(this.flowId)}/outline`);
      if (!this.isOpen) return;
      this.problem = null;
      if (this.flow === null || outline.flow.lastSeq >= this.lastSeq) this.take(outline);
      else this.readSoon();
    } catch (error) {
      if (!this.isOpen) return;
      this.problem = error instanceof Problem ? error : new Problem(0, "Error", String(error));
      if (this.problem.status === 404) this.flow = null;
      else this.readSoon();
    }
  }

  private readSoon(): void {
    this.again ??= setTimeout(() => {
      this.again = null;
      void this.read();
    }, AGAIN_AFTER_MS);
  }

  private take(outline: Outline): void {
    const progress = new Map([...this.jobs.byId.values()].map((job) => [job.id, job.progress]));
    this.flow = outline.flow;
    this.lastSeq = outline.flow.lastSeq;
    this.jobs = new Jobs(outline.items);
    for (const job of this.jobs.byId.values()) if (job.status === "active") job.progress = progress.get(job.id) ?? null;
    this.stopFollowing ??= live.follow(this.flowId, this.lastSeq, {
      event: (event) => this.heard(event),
      progress: (jobId, progress) => this.progressed(jobId, progress),
      line: (line) => this.onLine.forEach((listener) => listener(line)),
      subscribed: () => this.onSubscribed.forEach((listener) => listener()),
      failed: (code) => {
        if (code === "not-found") void this.read();
      },
    });
  }

  private heard(event: FlowEvent): void {
    if (this.flow === null || event.seq <= this.lastSeq) return;
    if (event.seq > this.lastSeq + 1) {
      // What lies between is not known, so what is shown would be wrong.
      void this.read();
      return;
    }
    this.lastSeq = event.seq;
    this.flow = { ...this.flow, lastSeq: event.seq, updatedAt: event.at };
    if (!this.jobs.fold(event)) this.foldFlow(event);
    else if (event.event === "job.active" && this.flow.status === "waiting") this.flow = { ...this.flow, status: "active" };
    for (const listener of this.onEvent) listener(event);
    this.changed();
  }

  private foldFlow(event: FlowEvent): void {
    if (this.flow === null) return;
    if (ENDS.has(event.event)) {
      const status = event.event.slice("flow.".length) as FlowStatus;
      // Its result, or its error, is asked for; until then it is not known, which is something else than null.
      this.flow = { ...this.flow, status, finishedAt: event.at, result: undefined };
      void this.read();
    } else if (READ_AGAIN.has(event.event)) {
      this.flow = { ...this.flow, status: "waiting", finishedAt: null, error: null };
      void this.read();
    }
  }

  private progressed(jobId: string, progress: unknown): void {
    const job = this.jobs.get(jobId);
    if (job === undefined || hasEnded(job.status)) return;
    job.progress = progress;
    this.changed();
  }

  private changed(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.version += 1;
      for (const watcher of this.watchers) watcher();
    });
  }
}

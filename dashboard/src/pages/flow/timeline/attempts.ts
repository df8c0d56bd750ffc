/** What the log tells of each attempt of each job: since when it waited, when it ran, how it ended. Pure. */
import type { FlowEvent } from "../../../api/types";

export type Outcome = "open" | "completed" | "failed" | "cancelled" | "interrupted";

/** One go at a job. Instants are milliseconds since the epoch. */
export interface Attempt {
  readonly run: number;
  /** Within its run, from 1. */
  number: number;
  /** When it was put off: for a delay, or to wait before the next attempt. */
  delayedFrom: number | null;
  /** When a worker could have taken it. Null where the log does not say: it was so from its creation on, or is not yet. */
  waitingFrom: number | null;
  startedAt: number | null;
  endedAt: number | null;
  outcome: Outcome;
  worker: string | null;
  message: string | null;
}

export type Attempts = ReadonlyMap<string, readonly Attempt[]>;

/** Attempts that grow as entries come in, in their order. */
export class AttemptBook {
  readonly attempts = new Map<string, Attempt[]>();
  /** When a running job was last given a child. */
  private readonly grewAt = new Map<string, number>();

  take(event: FlowEvent): void {
    if (event.id == null) return;
    const at = Date.parse(event.at);
    const data = event.data as EventData;
    const job = this.of(event.id);
    switch (event.event) {
      case "job.waiting":
      case "job.delayed":
        if (data.parentId !== undefined) this.grewAt.set(data.parentId, at);
        if (data.run !== undefined) beginRun(job, data.run, at);
        else if (isRunning(job.at(-1))) this.goBack(event.id, job, at);
        queue(openOf(job), event.event === "job.delayed" ? "delayed" : (data.status ?? "waiting"), at);
        break;
      case "job.active":
        start(job, at, data);
        break;
      case "job.retrying": {
        const { run, number } = end(job, "failed", at, data.error?.message);
        queue(push(job, run, number + 1), data.status ?? "waiting", at);
        break;
      }
      case "job.completed":
        end(job, "completed", at);
        break;
      case "job.failed":
        end(job, "failed", at, data.error?.message);
        break;
      case "job.cancelled":
        end(job, "cancelled", at, data.error?.message);
        break;
    }
  }

  private of(id: string): Attempt[] {
    const known = this.attempts.get(id);
    if (known !== undefined) return known;
    const fresh: Attempt[] = [];
    this.attempts.set(id, fresh);
    return fresh;
  }

  /** It was running and is queued again without a failure: its worker was lost, or it has waited for new children. */
  private goBack(id: string, job: Attempt[], at: number): void {
    const last = openOf(job);
    const grewAt = this.grewAt.get(id);
    const stoppedAt = grewAt !== undefined && grewAt >= (last.startedAt ?? at) ? grewAt : at;
    end(job, "interrupted", stoppedAt);
    push(job, last.run, last.number);
  }
}

export function newAttempt(run: number, number: number): Attempt {
  return {
    run,
    number,
    delayedFrom: null,
    waitingFrom: null,
    startedAt: null,
    endedAt: null,
    outcome: "open",
    worker: null,
    message: null,
  };
}

interface EventData {
  status?: string;
  run?: number;
  attempt?: number;
  worker?: string;
  parentId?: string;
  error?: { message?: string };
}

function push(job: Attempt[], run: number, number: number): Attempt {
  const attempt = newAttempt(run, number);
  job.push(attempt);
  return attempt;
}

function openOf(job: Attempt[]): Attempt {
  const last = job.at(-1);
  if (last === undefined) return push(job, 1, 1);
  return last.outcome === "open" ? last : push(job, last.run, last.number + 1);
}

function isRunning(attempt: Attempt | undefined): boolean {
  return attempt !== undefined && attempt.outcome === "open" && attempt.startedAt !== null;
}

function beginRun(job: Attempt[], run: number, at: number): void {
  const last = job.at(-1);
  if (last?.outcome === "open") {
    if (last.startedAt === null) job.pop();
    else end(job, "interrupted", at);
  }
  push(job, run, 1);
}

function queue(attempt: Attempt, status: string, at: number): void {
  if (status === "delayed") attempt.delayedFrom = at;
  else if (status !== "waiting-children") attempt.waitingFrom = at;
}

function start(job: Attempt[], at: number, data: EventData): void {
  if (isRunning(job.at(-1))) end(job, "interrupted", at);
  Object.assign(openOf(job), { startedAt: at, worker: data.worker ?? null });
  if (data.attempt !== undefined) openOf(job).number = data.attempt;
}

function end(job: Attempt[], outcome: Outcome, at: number, message?: string): Attempt {
  return Object.assign(openOf(job), { outcome, endedAt: at, message: message ?? null });
}

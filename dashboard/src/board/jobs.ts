/** The jobs of one flow as a tree, and what an entry of the log does to them. Nothing here knows of time or network. */
import { JOB_STATUSES, type FlowEvent, type JobStatus } from "../api/types";

/** A job as the outline of a flow tells of it. */
export interface OutlinedJob {
  id: string;
  parentId: string | null;
  name: string;
  queueName: string;
  status: JobStatus;
  attemptsMade: number;
  run: number;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  worker: string | null;
}

/** A job on the board. Instants are milliseconds since the epoch. It changes in place; who shows it looks again. */
export interface BoardJob {
  readonly id: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly queueName: string;
  readonly createdAt: number;
  /** 0 for the root. */
  readonly depth: number;
  /** In the order of the request. */
  readonly children: string[];
  status: JobStatus;
  run: number;
  attemptsMade: number;
  startedAt: number | null;
  finishedAt: number | null;
  worker: string | null;
  progress: unknown;
  /** Why it has failed, or its last attempt, if that happened before our eyes. */
  message: string | null;
  /** How many jobs below it, at any depth, are in each state, by the order of `JOB_STATUSES`. */
  readonly below: number[];
}

const PLACE = new Map<JobStatus, number>(JOB_STATUSES.map((status, place) => [status, place]));

export function placeOf(status: JobStatus): number {
  return PLACE.get(status) ?? 0;
}

export class Jobs {
  readonly byId = new Map<string, BoardJob>();
  rootId = "";

  constructor(outline: readonly OutlinedJob[]) {
    for (const job of outline) this.add(job);
  }

  get root(): BoardJob | undefined {
    return this.byId.get(this.rootId);
  }

  get(id: string): BoardJob | undefined {
    return this.byId.get(id);
  }

  /** How many jobs are in each state, all of them, by the order of `JOB_STATUSES`. */
  get counts(): readonly number[] {
    const root = this.root;
    if (root === undefined) return JOB_STATUSES.map(() => 0);
    return root.below.map((count, place) => count + (place === placeOf(root.status) ? 1 : 0));
  }

  /** The jobs above this one, the root first. */
  above(id: string): BoardJob[] {
    const found: BoardJob[] = [];
    let job = this.byId.get(id);
    while (job !== undefined && job.parentId !== null) {
      job = this.byId.get(job.parentId);
      if (job !== undefined) found.unshift(job);
    }
    return found;
  }

  /** Take in an entry about a job; false when it is about none that is known. */
  fold(event: FlowEvent): boolean {
    if (event.id == null) return false;
    const data = event.data as EventData;
    const job = this.byId.get(event.id);
    if (job === undefined) {
      if (typeof data.parentId === "string") this.grow(event, data);
      return true;
    }
    const at = Date.parse(event.at);
    this.become(job, data.status ?? job.status);
    switch (event.event) {
      case "job.active":
        Object.assign(job, { startedAt: at, finishedAt: null, progress: null, worker: data.worker ?? null });
        break;
      case "job.completed":
        Object.assign(job, { finishedAt: at, attemptsMade: job.attemptsMade + 1, message: null });
        break;
      case "job.failed":
        Object.assign(job, { finishedAt: at, message: data.error?.message ?? null });
        if (job.startedAt !== null) job.attemptsMade += 1;
        break;
      case "job.cancelled":
        Object.assign(job, { finishedAt: at, message: data.error?.message ?? null });
        break;
      case "job.retrying":
        Object.assign(job, { attemptsMade: job.attemptsMade + 1, message: data.error?.message ?? null });
        break;
      default:
        if (typeof data.run === "number") this.beginAnew(job, data.run);
    }
    return true;
  }

  private beginAnew(job: BoardJob, run: number): void {
    Object.assign(job, { run, attemptsMade: 0, startedAt: null, finishedAt: null, progress: null, message: null });
  }

  private grow(event: FlowEvent, data: EventData): void {
    this.add({
      id: event.id ?? "",
      parentId: data.parentId ?? null,
      name: data.name ?? "",
      queueName: data.queueName ?? "",
      status: data.status ?? "waiting",
      attemptsMade: 0,
      run: 1,
      createdAt: event.at,
      startedAt: null,
      finishedAt: null,
      worker: null,
    });
  }

  private add(outlined: OutlinedJob): void {
    const parent = outlined.parentId === null ? undefined : this.byId.get(outlined.parentId);
    const job: BoardJob = {
      id: outlined.id,
      parentId: outlined.parentId,
      name: outlined.name,
      queueName: outlined.queueName,
      createdAt: Date.parse(outlined.createdAt),
      depth: parent === undefined ? 0 : parent.depth + 1,
      children: [],
      status: outlined.status,
      run: outlined.run,
      attemptsMade: outlined.attemptsMade,
      startedAt: instant(outlined.startedAt),
      finishedAt: instant(outlined.finishedAt),
      worker: outlined.worker,
      progress: null,
      message: null,
      below: JOB_STATUSES.map(() => 0),
    };
    this.byId.set(job.id, job);
    if (parent === undefined) this.rootId = job.id;
    else parent.children.push(job.id);
    this.count(job, job.status, 1);
  }

  private become(job: BoardJob, status: JobStatus): void {
    if (job.status === status) return;
    this.count(job, job.status, -1);
    this.count(job, status, 1);
    job.status = status;
  }

  /** Tell all above. */
  private count(job: BoardJob, status: JobStatus, by: number): void {
    const place = placeOf(status);
    let above = job.parentId === null ? undefined : this.byId.get(job.parentId);
    while (above !== undefined) {
      above.below[place] = (above.below[place] ?? 0) + by;
      above = above.parentId === null ? undefined : this.byId.get(above.parentId);
    }
  }
}

interface EventData {
  status?: JobStatus;
  error?: { message?: string };
  worker?: string;
  run?: number;
  parentId?: string;
  name?: string;
  queueName?: string;
}

function instant(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}

/** The request that would make a flow again. Nothing here knows of time or network. */
import type { FlowTree, JobNode } from "../api/types";

/** As many children of one job as the service shows in a tree; more is too much for a form. */
export const MOST_CHILDREN = 5_000;

/** Where the form for a new flow finds the request that was chosen, as JSON text. */
export const TEMPLATE_KEY = "bullflow.template";

/** A job as a request names it; what has its default is left out. */
export interface RequestedJob {
  name: string;
  queueName: string;
  data?: unknown;
  opts?: Record<string, unknown>;
  children?: RequestedJob[];
}

/** A request for a flow. */
export interface RequestedFlow extends RequestedJob {
  failFast?: true;
  /** Milliseconds from creation. */
  deadline?: number;
  tags?: string[];
}

/** What the service shows, as JSON, in place of a value that is hidden from whoever asks. */
const HIDDEN = '"[redacted]"';

/** The request as a beginning for another; refused where a worker would be given what stands for a hidden value. */
export function templateOf(tree: FlowTree, seesAll: boolean): RequestedFlow {
  const request = requestOf(tree);
  if (!seesAll && JSON.stringify(request).includes(HIDDEN)) {
    throw new Error("Some of its values are hidden from you, and a worker would be given “[redacted]” for them. A token with the scope “payloads” can copy it.");
  }
  return request;
}

/** What `POST /flows` would have to be sent to make this flow once more. */
export function requestOf(tree: FlowTree): RequestedFlow {
  const { name, queueName, data, opts, children } = jobOf(tree.root, true);
  const deadline = tree.deadline == null ? 0 : Date.parse(tree.deadline) - Date.parse(tree.createdAt);
  return {
    name,
    queueName,
    ...((tree.tags?.length ?? 0) > 0 && { tags: tree.tags }),
    ...(tree.failFast && { failFast: true }),
    ...(deadline > 0 && { deadline }),
    ...(data !== undefined && { data }),
    ...(opts !== undefined && { opts }),
    ...(children !== undefined && { children }),
  };
}

/** How many children the tree does not show, and a request made of it lacks. */
export function leftOutOf(tree: FlowTree): number {
  const of = (job: JobNode): number => (job.children ?? []).reduce((sum, child) => sum + of(child), job.moreChildren ?? 0);
  return of(tree.root);
}

function jobOf(job: JobNode, isRoot: boolean): RequestedJob {
  const opts = optionsOf(job.opts, isRoot);
  const children = (job.children ?? []).map((child) => jobOf(child, false));
  return {
    name: job.name,
    queueName: job.queueName,
    ...(!isEmptyObject(job.data) && { data: job.data }),
    ...(Object.keys(opts).length > 0 && { opts }),
    ...(children.length > 0 && { children }),
  };
}

/** A child gets `failParentOnFailure: true` by itself when it names no other policy. */
function optionsOf(opts: JobNode["opts"], isRoot: boolean): Record<string, unknown> {
  const named = Object.entries(opts ?? {}).filter(([name, value]) => {
    return value !== null && !(name === "failParentOnFailure" && value === true && !isRoot);
  });
  return Object.fromEntries(named);
}

function isEmptyObject(data: unknown): boolean {
  return typeof data === "object" && data !== null && !Array.isArray(data) && Object.keys(data).length === 0;
}

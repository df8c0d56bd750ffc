/** A flow as the request that would make another one like it. */
import type { FlowTree, JobNode } from "../../../api/types";

export interface JobTemplate {
  name: string;
  queueName: string;
  data?: unknown;
  opts?: Record<string, unknown>;
  children?: JobTemplate[];
}

export interface FlowTemplate extends JobTemplate {
  tags?: string[];
  failFast?: boolean;
  /** Milliseconds from creation. */
  deadline?: number;
}

/** Where the form for a new flow finds the template that was chosen, as JSON text. */
export const TEMPLATE_KEY = "bullflow.template";

/** Null when jobs are missing from the tree: a part of a flow is another flow. */
export function templateOf(tree: FlowTree): FlowTemplate | null {
  if (isCut(tree.root)) return null;
  const { children, ...job } = jobTemplate(tree.root);
  return {
    ...job,
    ...(tree.tags.length > 0 && { tags: tree.tags }),
    ...(tree.failFast && { failFast: true }),
    ...(tree.deadline != null && { deadline: Math.max(1, Date.parse(tree.deadline) - Date.parse(tree.createdAt)) }),
    ...(children !== undefined && { children }),
  };
}

function isCut(node: JobNode): boolean {
  return node.moreChildren > 0 || node.children.some(isCut);
}

function jobTemplate(node: JobNode): JobTemplate {
  const opts = Object.fromEntries(Object.entries(node.opts).filter(([, value]) => value !== null));
  // A child without a policy gets this one, so it need not be said.
  if (node.parentId !== null && opts.failParentOnFailure === true) delete opts.failParentOnFailure;
  return {
    name: node.name,
    queueName: node.queueName,
    data: node.data,
    ...(Object.keys(opts).length > 0 && { opts }),
    ...(node.children.length > 0 && { children: node.children.map(jobTemplate) }),
  };
}

/** Short names for the shapes of the contract. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Flow = Schemas["Flow"];
export type FlowPage = Schemas["FlowPage"];
export type FlowTree = Schemas["FlowTree"];
export type FlowIn = Schemas["FlowIn"];
export type CreatedFlow = Schemas["CreatedFlow"];
export type CancelledFlow = Schemas["CancelledFlow"];
export type RetryPlan = Schemas["RetryPlan"];
export type Explanation = Schemas["Explanation"];
export type ExplainedReason = Schemas["ExplainedReason"];
export type Job = Schemas["Job"];
export type JobNode = Schemas["JobNode"];
export type JobError = Schemas["JobError"];
export type LinePage = Schemas["LinePage"];
export type Line = Schemas["Line"];
export type FlowEvent = Schemas["Event"];
export type EventPage = Schemas["EventPage"];
export type Queue = Schemas["Queue"];
export type QueuePage = Schemas["QueuePage"];
export type QueueDetail = Schemas["QueueDetail"];
export type QueueSettings = Schemas["QueueSettings"];
export type QueueTask = Schemas["QueueTask"];
export type QueueTasks = Schemas["QueueTasks"];
export type Readiness = Schemas["Readiness"];
export type Me = Schemas["Me"];
export type ProblemBody = Schemas["Problem"];

export type FlowStatus = Schemas["FlowStatus"];
export type JobStatus = Schemas["JobStatus"];

export const FLOW_STATUSES: readonly FlowStatus[] = ["waiting", "active", "completed", "failed", "cancelled"];
export const JOB_STATUSES: readonly JobStatus[] = [
  "active",
  "waiting",
  "waiting-children",
  "delayed",
  "prioritized",
  "completed",
  "failed",
  "cancelled",
];
const ENDED: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

/** Whether a flow or a job in this state changes no more, unless it is retried. */
export function hasEnded(status: FlowStatus | JobStatus): boolean {
  return ENDED.has(status);
}

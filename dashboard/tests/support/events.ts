import type { FlowEvent } from "../../src/api/types";

/** An entry of a log, about this job if one is named; `ms` is its instant since the epoch. */
export function anEntry(seq: number, event: FlowEvent["event"], id: string | null = null, data = {}, ms = seq): FlowEvent {
  return { seq, event, flowId: "flow", id, jobId: id === null ? null : `${id}-1`, at: instant(ms), data };
}

/** Entries that only count. */
export function entries(from: number, to: number): FlowEvent[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, place) => anEntry(from + place, "job.active", "job"));
}

export function instant(ms: number): string {
  return new Date(ms).toISOString();
}

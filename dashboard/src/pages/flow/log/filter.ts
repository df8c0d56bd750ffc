/** Which entries are looked for. Pure. */
import type { FlowEvent } from "../../../api/types";
import type { EventKind } from "./looks";

export interface Filter {
  /** All of them when empty. */
  kinds: readonly EventKind[];
  text: string;
}

export function isEmpty(filter: Filter): boolean {
  return filter.kinds.length === 0 && filter.text.trim() === "";
}

/** Whether an entry is of these kinds and has the text in its number, its job's name or id, or its error. */
export function matches(filter: Filter, event: FlowEvent, jobName: string): boolean {
  if (filter.kinds.length > 0 && !filter.kinds.includes(event.event)) return false;
  const wanted = filter.text.trim().toLowerCase();
  if (wanted === "") return true;
  const message = (event.data as { error?: { message?: string } }).error?.message ?? "";
  return [jobName, event.id ?? "", event.jobId ?? "", event.event, message].some((text) => text.toLowerCase().includes(wanted));
}

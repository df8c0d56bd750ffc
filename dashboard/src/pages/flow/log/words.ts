/** An entry in short. Pure. */
import type { FlowEvent } from "../../../api/types";
import { timeOfDay } from "../../../parts/time";

const LONGEST = 200;

interface EventData {
  status?: string;
  attempt?: number;
  worker?: string;
  run?: number;
  jobs?: number;
  until?: string;
  parentId?: string;
  name?: string;
  result?: unknown;
  error?: { message?: string; attempt?: number };
}

/** What an entry says beyond its kind and its job. */
export function inShort(event: FlowEvent): string {
  const data = event.data as EventData;
  const { error } = data;
  if (error != null) return cut(`${error.attempt === undefined ? "" : `attempt ${error.attempt}: `}${error.message ?? ""}`);
  switch (event.event) {
    case "job.active":
      return [data.attempt === undefined ? "" : `attempt ${data.attempt}`, data.worker ?? ""].filter(Boolean).join(" · ");
    case "job.completed":
    case "flow.completed":
      return data.result == null ? "" : cut(JSON.stringify(data.result));
    case "flow.retried":
    case "flow.recovered":
      return data.jobs === undefined ? "" : `${data.jobs} ${data.jobs === 1 ? "job runs" : "jobs run"} again`;
    default:
      return [
        data.parentId === undefined ? "" : "added while the flow runs",
        data.run === undefined ? "" : `run ${data.run}`,
        data.status === "waiting-children" ? "waits for children" : "",
        data.until === undefined ? "" : `until ${timeOfDay(data.until)}`,
      ]
        .filter(Boolean)
        .join(" · ");
  }
}

/** The name of the job of an entry that tells of a new one. */
export function nameIn(event: FlowEvent): string | undefined {
  return (event.data as EventData).name;
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

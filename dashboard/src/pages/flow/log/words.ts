/** An entry in short. Pure. */
import type { FlowEvent } from "../../../api/types";

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
        data.until === undefined ? "" : `until ${timeOf(data.until)}`,
      ]
        .filter(Boolean)
        .join(" · ");
  }
}

/** The name of the job of an entry that tells of a new one. */
export function nameIn(event: FlowEvent): string | undefined {
  return (event.data as EventData).name;
}

/** The local time of day, to the millisecond; with the day where that is not this one. */
export function timeOf(at: string, day?: string): string {
  const date = new Date(at);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0"));
  const time = `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  if (day === undefined || new Date(day).toDateString() === date.toDateString()) return time;
  return `${date.toLocaleDateString(undefined, { month: "short", day: "numeric" })} ${time}`;
}

export function utcOf(at: string): string {
  return `${new Date(at).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

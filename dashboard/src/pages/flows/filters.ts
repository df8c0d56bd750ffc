/** What a list of flows is narrowed to. It stands in the address, under the names of the API. */
import type { Parameters } from "../../api/rest";
import { FLOW_STATUSES, type Flow, type FlowStatus } from "../../api/types";

export interface Filters {
  status: FlowStatus | null;
  /** Exact, as the API compares it. */
  name: string;
  queueName: string;
  tag: string;
  /** ISO 8601, in UTC. */
  createdAfter: string;
  createdBefore: string;
}

export const NO_FILTERS: Filters = { status: null, name: "", queueName: "", tag: "", createdAfter: "", createdBefore: "" };

const NAMES = Object.keys(NO_FILTERS) as (keyof Filters)[];

/** The filters in an address; what makes no sense there is left out. */
export function filtersOf(query: URLSearchParams): Filters {
  const status = query.get("status");
  return {
    status: FLOW_STATUSES.find((known) => known === status) ?? null,
    name: query.get("name") ?? "",
    queueName: query.get("queueName") ?? "",
    tag: query.get("tag") ?? "",
    createdAfter: momentOf(query.get("createdAfter")),
    createdBefore: momentOf(query.get("createdBefore")),
  };
}

export function queryOf(filters: Filters): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of NAMES) if (filters[name]) query.set(name, String(filters[name]));
  return query;
}

export function parametersOf(filters: Filters): Parameters {
  return { ...filters };
}

export function countOf(filters: Filters): number {
  return NAMES.filter((name) => filters[name]).length;
}

/** Whether the API would list this flow under these filters. */
export function matches(flow: Flow, filters: Filters): boolean {
  return (
    (filters.status === null || flow.status === filters.status) &&
    (filters.name === "" || flow.name === filters.name) &&
    (filters.queueName === "" || flow.queueName === filters.queueName) &&
    (filters.tag === "" || (flow.tags ?? []).includes(filters.tag)) &&
    (filters.createdAfter === "" || Date.parse(flow.createdAt) > Date.parse(filters.createdAfter)) &&
    (filters.createdBefore === "" || Date.parse(flow.createdAt) < Date.parse(filters.createdBefore))
  );
}

/** An instant as a `datetime-local` field wants it: local, without a zone. */
export function fieldOf(moment: string): string {
  if (moment === "") return "";
  const date = new Date(moment);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString();
  return date.getUTCSeconds() === 0 ? local.slice(0, 16) : local.slice(0, 19);
}

/** What a `datetime-local` field holds, as an instant. */
export function momentOf(field: string | null): string {
  const instant = Date.parse(field ?? "");
  return Number.isNaN(instant) ? "" : new Date(instant).toISOString();
}

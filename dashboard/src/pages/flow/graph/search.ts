/** Finding jobs by what somebody types. */
import { JOB_STATUSES, type JobStatus } from "../../../api/types";
import { placeOf, type Jobs } from "../../../board/jobs";

const BY_STATE = "is:";

export const ALL_FAILED = `${BY_STATE}failed`;

/** Changes when the same query may find something else because states have changed; 0 where states do not matter. */
export function changesWith(jobs: Jobs, query: string): number {
  if (!isByState(query)) return 0;
  const { counts } = jobs;
  return statesNamed(query).reduce((sum, status) => sum + (counts[placeOf(status)] ?? 0), 0);
}

/** The ids of the jobs whose name or id holds this text, or that are in this state (`is:failed`), in tree order. */
export function found(jobs: Jobs, query: string): string[] {
  const text = query.trim().toLowerCase();
  if (text === "" || text === BY_STATE) return [];
  const all = [...jobs.byId.values()];
  if (isByState(text)) {
    const states = new Set(statesNamed(text));
    return all.filter((job) => states.has(job.status)).map((job) => job.id);
  }
  return all.filter((job) => job.name.toLowerCase().includes(text) || job.id.toLowerCase().includes(text)).map((job) => job.id);
}

/** The match after this one, or before it; the first, or the last, when there is none. */
export function step(matches: readonly string[], from: string | null, by: 1 | -1): string | null {
  if (matches.length === 0) return null;
  const place = from === null ? -1 : matches.indexOf(from);
  if (place === -1) return matches.at(by === 1 ? 0 : -1) ?? null;
  return matches[(place + by + matches.length) % matches.length] ?? null;
}

/** How many jobs there are, by their counts in each state. */
export function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function isByState(query: string): boolean {
  return query.trim().toLowerCase().startsWith(BY_STATE);
}

function statesNamed(query: string): JobStatus[] {
  const text = query.trim().toLowerCase().slice(BY_STATE.length);
  return JOB_STATUSES.filter((status) => status.startsWith(text));
}

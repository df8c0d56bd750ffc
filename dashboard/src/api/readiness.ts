/** Whether the service can work, and how far it is behind. */
import { useQuery } from "@tanstack/react-query";
import { History } from "./history";
import { answered, Problem } from "./rest";
import type { Readiness } from "./types";

/** What was heard of lag and backlog, under these names. */
export const readinessHistory = new History();
const TIMEOUT_MS = 10_000;

export function useReadiness(everyMs: number) {
  return useQuery({
    queryKey: ["readyz"],
    queryFn: ({ signal }) => readiness(signal),
    refetchInterval: everyMs,
    // It is asked again soon anyway, and that it did not answer is what is to be shown.
    retry: false,
  });
}

/** `/readyz` answers 503 with the same body when something is away. */
async function readiness(signal: AbortSignal): Promise<Readiness> {
  let found: Readiness;
  let status: number;
  try {
    const answer = await fetch("/readyz", { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    found = (await answer.json()) as Readiness;
    status = answer.status;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(0, "No answer", "The service does not answer. It is asked again by itself.");
  }
  answered(status);
  const now = Date.now();
  if (found.recorderLag != null) readinessHistory.take("lag", now, [found.recorderLag]);
  if (found.dispatchBacklog != null) readinessHistory.take("backlog", now, [found.dispatchBacklog]);
  return found;
}

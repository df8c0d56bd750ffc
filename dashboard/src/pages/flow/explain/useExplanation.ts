import { useThrottledValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { get } from "../../../api/rest";
import { hasEnded, JOB_STATUSES, type Explanation, type Flow, type JobStatus } from "../../../api/types";

const EVERY_MS = 3_000;
const AFTER_CHANGES_MS = 1_000;
/** What waits for less than this is on its way. */
const UNNOTICED_MS = 1_500;
const WAITING: ReadonlySet<JobStatus> = new Set<JobStatus>(["waiting", "waiting-children", "delayed", "prioritized"]);

/** Whether jobs of a flow have waited for so long that it is worth asking why. */
export function useWaits(flow: Flow, counts: readonly number[]): boolean {
  const waits = !hasEnded(flow.status) && JOB_STATUSES.some((status, place) => WAITING.has(status) && (counts[place] ?? 0) > 0);
  return useHasLasted(waits, UNNOTICED_MS, Date.parse(flow.updatedAt));
}

/** Why jobs of a flow do not run, asked every few seconds, and sooner after changes. */
export function useExplanation(flowId: string, lastSeq: number): Explanation | undefined {
  const { data, refetch } = useQuery({
    queryKey: ["explain", flowId],
    queryFn: ({ signal }) => get<Explanation>(`/flows/${encodeURIComponent(flowId)}/explain`, {}, signal),
    refetchInterval: EVERY_MS,
    retry: false,
    gcTime: 0,
  });
  const change = useThrottledValue(lastSeq, AFTER_CHANGES_MS);
  useEffect(() => {
    // A question that is under way is not asked again, or a busy flow would never get an answer.
    void refetch({ cancelRefetch: false });
  }, [change, refetch]);
  return data;
}

/** Whether it has been so for long: since this was first asked, or, if it was so then already, since an instant before. */
function useHasLasted(isSo: boolean, ms: number, since: number): boolean {
  const [hasLasted, setLasted] = useState(() => isSo && Date.now() - since >= ms);
  useEffect(() => {
    if (!isSo) return;
    const timer = setTimeout(() => setLasted(true), ms);
    return () => {
      clearTimeout(timer);
      setLasted(false);
    };
  }, [isSo, ms]);
  return isSo && hasLasted;
}

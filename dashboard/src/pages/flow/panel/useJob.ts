/** One job as the service tells of it, read again whenever the board shows that it has changed. */
import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { get } from "../../../api/rest";
import type { Job } from "../../../api/types";
import type { BoardJob } from "../../../board/jobs";

const AGAIN_MS = 700;

/** What changes when there is something new to read. */
export function stampOf(job: Pick<BoardJob, "run" | "status" | "attemptsMade"> | undefined): string {
  return job === undefined ? "" : `${job.run} ${job.status} ${job.attemptsMade}`;
}

/** Whether this answer tells of the state that the board shows, and not of an earlier one, or one yet to be heard of. */
export function isOfTheBoard(answer: Job, job: Pick<BoardJob, "run" | "status">): boolean {
  return answer.status === job.status && answer.jobId === `${answer.id}-${job.run}`;
}

export function useJob(jobId: string, job: BoardJob | undefined): UseQueryResult<Job> {
  return useQuery<Job>({
    queryKey: ["job", jobId, stampOf(job)],
    queryFn: ({ signal }) => get<Job>(`/jobs/${encodeURIComponent(jobId)}`, {}, signal),
    placeholderData: (before?: Job) => (before?.id === jobId ? before : undefined),
    staleTime: Infinity,
    // The board and this answer come by two ways: until they agree it is asked again.
    refetchInterval: ({ state: { data } }) =>
      data !== undefined && job !== undefined && !isOfTheBoard(data, job) ? AGAIN_MS : false,
  });
}

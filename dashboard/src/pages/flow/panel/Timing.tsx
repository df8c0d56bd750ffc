import { hasEnded } from "../../../api/types";
import type { BoardJob } from "../../../board/jobs";
import { Duration, Instant } from "../../../parts/time";
import { Fact, Facts } from "./Section";

/** When a job came, started and ended, and how long it waited and ran. */
export function Timing({ job }: { job: BoardJob }) {
  const isFirstTry = job.run === 1 && job.attemptsMade <= 1;
  const waitedTo = job.startedAt ?? (hasEnded(job.status) ? job.finishedAt : null);
  return (
    <Facts>
      <Fact name="Created">
        <Instant at={job.createdAt} size="sm" />
      </Fact>
      <Fact name={isFirstTry ? "Waited" : "Until last start"}>
        <Duration from={job.createdAt} to={waitedTo} size="sm" />
      </Fact>
      <Fact name="Started">
        <Instant at={job.startedAt} size="sm" />
      </Fact>
      <Fact name="Ran">
        <Duration from={job.startedAt} to={job.finishedAt} size="sm" />
      </Fact>
      <Fact name="Finished">
        <Instant at={job.finishedAt} size="sm" />
      </Fact>
    </Facts>
  );
}

import { Anchor, Code, Group, Progress, Skeleton, Stack, Text } from "@mantine/core";
import { Link } from "wouter";
import { useCredentials } from "../../../account/me";
import type { Job, JobError } from "../../../api/types";
import type { Board } from "../../../board/board";
import type { BoardJob } from "../../../board/jobs";
import { Copy, Id } from "../../../parts/copy";
import { Json } from "../../../parts/json";
import { ProblemAlert } from "../../../parts/problem";
import { StatusBadge } from "../../../parts/status";
import { percentOf } from "../graph/jobMarks";
import { Failure } from "./Failure";
import { Kin } from "./Kin";
import { LogLines } from "./LogLines";
import { Fact, Facts, Section } from "./Section";
import { Timing } from "./Timing";
import { isOfTheBoard, useJob } from "./useJob";
import classes from "./panel.module.css";

interface JobDetailsProps {
  board: Board;
  job: BoardJob;
  onSelect(id: string): void;
}

/**
 * All about one job. What changes is shown as the board has it; what only the service knows is shown as soon as its
 * answer tells of the same state, so that no result stands beside a state that it does not belong to.
 */
export function JobDetails({ board, job, onSelect }: JobDetailsProps) {
  const { data, error: problem } = useJob(job.id, job);
  const told = data !== undefined && isOfTheBoard(data, job) ? data : undefined;
  const failure = failureOf(job, told);
  return (
    <Stack gap="lg">
      <Group gap="sm">
        <StatusBadge status={job.status} />
        {job.attemptsMade > 1 && <Text size="sm">{job.attemptsMade} attempts</Text>}
        {job.run > 1 && <Text size="sm">run {job.run}</Text>}
      </Group>
      {job.status === "active" && job.progress != null && <Reported progress={job.progress} />}
      {problem !== null && <ProblemAlert error={problem} title="The job could not be read" />}
      {failure !== null && <Failure board={board} status={job.status} error={failure} onSelect={onSelect} />}
      {job.status === "completed" && (
        <Section title="Result">
          {told === undefined ? <Skeleton height={36} /> : told.result == null ? <Nothing words="It returned nothing." /> : <Json value={told.result} what="result" />}
        </Section>
      )}
      <Section title="Data">{data === undefined ? <Skeleton height={36} /> : <Value value={data.data} what="data" none="It got no data." />}</Section>
      <Section title="Time">
        <Timing job={job} />
      </Section>
      <Kin board={board} job={job} onSelect={onSelect} />
      <Section title="Log lines">
        <LogLines board={board} jobId={job.id} />
      </Section>
      <Section title="Options">{data === undefined ? <Skeleton height={36} /> : <Value value={data.opts} what="options" none="None were given." />}</Section>
      <Section title="About">
        <Facts>
          <Fact name="Queue">
            <Anchor component={Link} href={`/queues/${encodeURIComponent(job.queueName)}`} size="sm" className={classes.wrapped}>
              {job.queueName}
            </Anchor>
          </Fact>
          <Fact name="Worker">{job.worker === null ? "–" : <span className={classes.wrapped}>{job.worker}</span>}</Fact>
          <Fact name="Run">{job.run}</Fact>
          <Fact name="Attempts">{job.attemptsMade}</Fact>
          <Fact name="Id">
            <Id id={job.id} what="id" />
          </Fact>
          <Fact name="BullMQ id">
            <Id id={`${job.id}-${job.run}`} what="BullMQ id" />
          </Fact>
        </Facts>
      </Section>
      <FetchIt jobId={job.id} />
    </Stack>
  );
}

/** Why it failed, or its last attempt: at first the words that the board has heard, then all that the service knows. */
function failureOf(job: BoardJob, told: Job | undefined): JobError | null {
  if (told?.error != null) return told.error;
  return job.message === null ? null : { message: job.message };
}

function FetchIt({ jobId }: { jobId: string }) {
  const command = `curl -s${useCredentials()} ${location.origin}/jobs/${jobId}`;
  return (
    <Section title="Fetch it" aside={<Copy text={command} what="command" />}>
      <Code block className={classes.command} tabIndex={0} role="region" aria-label="Command">
        {command}
      </Code>
    </Section>
  );
}

function Reported({ progress }: { progress: unknown }) {
  const percent = percentOf(progress);
  if (percent === null) {
    return (
      <Section title="Progress">
        <Json value={progress} what="progress" maxHeight={120} />
      </Section>
    );
  }
  return (
    <Group gap="sm" wrap="nowrap">
      <Progress value={percent} flex={1} aria-label="Progress" />
      <Text size="sm">{Math.round(percent)} %</Text>
    </Group>
  );
}

function Value({ value, what, none }: { value: unknown; what: string; none: string }) {
  const isEmpty = value == null || (typeof value === "object" && Object.keys(value).length === 0);
  return isEmpty ? <Nothing words={none} /> : <Json value={value} what={what} />;
}

function Nothing({ words }: { words: string }) {
  return (
    <Text size="sm" className={classes.quiet}>
      {words}
    </Text>
  );
}

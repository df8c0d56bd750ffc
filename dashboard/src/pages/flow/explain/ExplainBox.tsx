/** Why jobs wait, with the way out. Nothing is shown while all goes as it should. */
import { Anchor, Code, Group, Paper, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { memo } from "react";
import { Link } from "wouter";
import type { Explanation, ExplainedReason, Flow } from "../../../api/types";
import { durationText, Instant, useNow } from "../../../parts/time";
import { pieces, REASONS, usualInWords, worthAWord } from "./reasons";
import { useExplanation, useWaits } from "./useExplanation";

const EXAMPLES = 5;

interface ExplainBoxProps {
  flow: Flow;
  counts: readonly number[];
  onSelect: (jobId: string) => void;
}

export function ExplainBox({ flow, counts, onSelect }: ExplainBoxProps) {
  const waits = useWaits(flow, counts);
  // Asked by a component of its own, so that what was said of an earlier wait is gone with it.
  return waits ? <Asked flowId={flow.id} lastSeq={flow.lastSeq} onSelect={onSelect} /> : null;
}

function Asked({ flowId, lastSeq, onSelect }: { flowId: string; lastSeq: number; onSelect: (jobId: string) => void }) {
  const explanation = useExplanation(flowId, lastSeq);
  return explanation === undefined ? null : <Box explanation={explanation} onSelect={onSelect} />;
}

const Box = memo(function Box({ explanation, onSelect }: { explanation: Explanation; onSelect: (jobId: string) => void }) {
  const reasons = worthAWord(explanation.reasons);
  // Said once: a reason of that name says it too.
  const isAway = explanation.engine !== "ok" && !reasons.some(({ reason }) => reason === "engine-away");
  if (reasons.length === 0 && !isAway) return null;
  const usual = usualInWords(explanation.reasons);
  return (
    <Paper withBorder p="md" component="section" aria-labelledby="why-it-waits">
      <Title order={2} size="sm" id="why-it-waits">
        Why it waits
      </Title>
      {isAway && (
        <Text size="sm" mt="xs" style={{ overflowWrap: "anywhere" }}>
          The engine does not answer, so this is what the store alone knows. ({explanation.engine})
        </Text>
      )}
      <Stack component="ul" gap="sm" mt="sm" mb={0} p={0} style={{ listStyle: "none" }}>
        {reasons.map((reason) => (
          <Reason key={`${reason.reason} ${reason.queueName} ${reason.jobs[0]?.status ?? ""}`} reason={reason} onSelect={onSelect} />
        ))}
      </Stack>
      {usual !== "" && (
        <Text size="sm" c="dimmed" mt="sm">
          Besides: {usual}.
        </Text>
      )}
    </Paper>
  );
});

function Reason({ reason, onSelect }: { reason: ExplainedReason; onSelect: (jobId: string) => void }) {
  const { title, icon: Sign, color } = REASONS[reason.reason];
  return (
    <Group component="li" gap="sm" wrap="nowrap" align="flex-start">
      <ThemeIcon variant="light" color={color} size="md" aria-hidden>
        <Sign size={16} />
      </ThemeIcon>
      <Stack gap={2} style={{ minWidth: 0 }}>
        <Text size="sm" fw={600}>
          {title}{" "}
          <Text span size="sm" fw={400} c="dimmed">
            {reason.count.toLocaleString()} {reason.count === 1 ? "job" : "jobs"} in{" "}
            <Anchor component={Link} href={`/queues/${encodeURIComponent(reason.queueName)}`} underline="always" inherit style={{ overflowWrap: "anywhere" }}>
              {reason.queueName}
            </Anchor>
          </Text>
        </Text>
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {pieces(reason.detail).map(({ text, isCode }, place) => (isCode ? <Code key={place}>{text}</Code> : text))}
          {reason.until != null && <Due until={reason.until} />}
        </Text>
        <Examples reason={reason} onSelect={onSelect} />
      </Stack>
    </Group>
  );
}

function Due({ until }: { until: string }) {
  const left = Date.parse(until) - useNow(1_000);
  return (
    <>
      . {left > 0 ? `The first is due in ${durationText(left)}, ` : "The first was due "}
      <Instant at={until} size="sm" />
    </>
  );
}

function Examples({ reason, onSelect }: { reason: ExplainedReason; onSelect: (jobId: string) => void }) {
  const shown = reason.jobs.slice(0, EXAMPLES);
  return (
    <Group gap="xs" style={{ rowGap: 2 }}>
      {shown.map((job) => (
        <Anchor key={job.id} component="button" type="button" size="sm" maw="100%" truncate title={job.name} onClick={() => onSelect(job.id)}>
          {job.name}
        </Anchor>
      ))}
      {reason.count > shown.length && (
        <Text size="sm" c="dimmed" span>
          and {(reason.count - shown.length).toLocaleString()} more
        </Text>
      )}
    </Group>
  );
}

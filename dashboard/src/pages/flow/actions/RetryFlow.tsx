/** Asks whether a flow should be retried, with what that would do before the eyes. */
import { Loader, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { post } from "../../../api/rest";
import type { Flow, RetryPlan } from "../../../api/types";
import { Confirm } from "../../../parts/confirm";
import { ProblemAlert } from "../../../parts/problem";
import type { QuestionProps } from "./Actions";
import { PlannedJobs } from "./PlannedJobs";

export function RetryFlow({ flowId, opened, onClose }: QuestionProps) {
  const path = `/flows/${encodeURIComponent(flowId)}/retry`;
  const plan = useQuery({
    queryKey: ["retry-plan", flowId],
    queryFn: ({ signal }) => post<RetryPlan>(`${path}?dryRun=true`, { signal }),
    enabled: opened,
    // It is asked anew with each question: the flow may have changed.
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });
  return (
    <Confirm
      title="Retry this flow?"
      act="Retry"
      opened={opened}
      onClose={onClose}
      onConfirm={() => post<Flow>(path)}
      disabled={plan.isFetching || plan.data === undefined || plan.error !== null}
    >
      {plan.isFetching ? <Asking /> : plan.error !== null ? <ProblemAlert error={plan.error} /> : plan.data && <Plan plan={plan.data} />}
    </Confirm>
  );
}

function Asking() {
  return (
    <Group gap="xs" role="status">
      <Loader size="xs" aria-hidden />
      <Text size="sm" c="dimmed">
        Asking what would run again
      </Text>
    </Group>
  );
}

function Plan({ plan }: { plan: RetryPlan }) {
  return (
    <Stack>
      <PlannedJobs title="Run again" jobs={plan.again} none="Nothing." />
      <PlannedJobs title="Keep their results" jobs={plan.reused} none="No result is reused." />
    </Stack>
  );
}

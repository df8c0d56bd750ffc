import { Box, Group, ScrollArea, Stack, Text, Title } from "@mantine/core";
import type { RetryPlan } from "../../../api/types";
import { StatusIcon } from "../../../parts/status";

const SHOWN = 50;

interface PlannedJobsProps {
  title: string;
  jobs: RetryPlan["again"];
  /** Said when there are none. */
  none: string;
}

/** Jobs that a retry touches: how many, and the first of them with the state that they are in. */
export function PlannedJobs({ title, jobs, none }: PlannedJobsProps) {
  const shown = jobs.jobs.slice(0, SHOWN);
  return (
    <Box>
      <Title order={3} size="sm" mb={4}>
        {title}{" "}
        <Text span size="sm" c="dimmed">
          {jobs.count.toLocaleString()} {jobs.count === 1 ? "job" : "jobs"}
        </Text>
      </Title>
      {jobs.count === 0 && (
        <Text size="sm" c="dimmed">
          {none}
        </Text>
      )}
      <ScrollArea.Autosize mah={180} type="auto" viewportProps={{ tabIndex: 0, role: "group", "aria-label": title }}>
        <Stack component="ul" gap={4} m={0} p={0} style={{ listStyle: "none" }}>
          {shown.map((job) => (
            <Group component="li" key={job.id} gap="xs" wrap="nowrap">
              <StatusIcon status={job.status} size={14} />
              <Text size="sm" truncate title={job.name}>
                {job.name}
              </Text>
              <Text size="xs" c="dimmed" ff="monospace" visibleFrom="xs">
                …{job.id.slice(-8)}
              </Text>
            </Group>
          ))}
        </Stack>
      </ScrollArea.Autosize>
      {jobs.count > shown.length && (
        <Text size="sm" c="dimmed" mt={4}>
          and {(jobs.count - shown.length).toLocaleString()} more
        </Text>
      )}
    </Box>
  );
}

import { Group, Skeleton, Stack } from "@mantine/core";

/** The outlines of a flow's page while it is read. */
export function FlowSkeleton() {
  return (
    <Stack role="status" aria-busy="true">
      <h1 className="visually-hidden">The flow is loading</h1>
      <Skeleton height={14} width={80} />
      <Group justify="space-between">
        <Skeleton height={30} width="min(320px, 60%)" />
        <Skeleton height={30} width={180} visibleFrom="sm" />
      </Group>
      <Skeleton height={14} width="min(460px, 90%)" />
      <Skeleton height={48} />
      <Skeleton height={10} />
      <Skeleton height={320} />
    </Stack>
  );
}

/** All queues, as they stand in the engine just now. */
import { Button, Skeleton, Stack, Text } from "@mantine/core";
import { PageTitle } from "../../parts/heading";
import { useQueues } from "./asking";
import { EngineAway, Slow } from "./EngineAway";
import { QueueCards } from "./QueueCards";
import { QueuesTable } from "./QueuesTable";
import { useIsWide } from "./useIsWide";

export default function QueuesPage() {
  const { data, error, dataUpdatedAt, hasNextPage, fetchNextPage, isFetchingNextPage } = useQueues();
  const isWide = useIsWide();
  const queues = data?.pages.flatMap((page) => page.items);
  return (
    <Stack>
      <Stack gap={4}>
        <PageTitle>Queues</PageTitle>
        <Text size="sm" c="dimmed">
          Every queue that a flow has used. The numbers come from the engine itself, every 2 seconds.
        </Text>
      </Stack>
      {error !== null && <EngineAway error={error} since={dataUpdatedAt} />}
      {queues === undefined && error === null && <Waiting />}
      {queues?.length === 0 && <Text>No flow has used a queue yet. The first one makes it.</Text>}
      {queues !== undefined && queues.length > 0 && (isWide ? <QueuesTable queues={queues} /> : <QueueCards queues={queues} />)}
      {hasNextPage && (
        <Button variant="default" onClick={() => void fetchNextPage()} loading={isFetchingNextPage} mx="auto">
          Show more queues
        </Button>
      )}
    </Stack>
  );
}

function Waiting() {
  return (
    <Stack role="status" aria-busy="true" gap="xs">
      <span className="visually-hidden">The queues are loading</span>
      <Slow />
      <Skeleton height={36} />
      <Skeleton height={44} />
      <Skeleton height={44} />
    </Stack>
  );
}

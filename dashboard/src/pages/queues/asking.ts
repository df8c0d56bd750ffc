/** Questions about queues. They ask the engine itself, again and again while the page is looked at. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { History, type Series } from "../../api/history";
import { get } from "../../api/rest";
import type { Queue, QueueDetail, QueuePage, QueueTasks } from "../../api/types";

const EVERY_MS = 2_000;
const TASKS_EVERY_MS = 10_000;
const A_PAGE = 100;

/** What was heard of each queue: `WAITING_AND_ACTIVE`. */
export const queueHistory = new History();

export const WAITING_AND_ACTIVE: readonly Series[] = [
  { word: "Waiting", color: "var(--mantine-color-dimmed)", isDashed: true },
  { word: "Active", color: "var(--mantine-color-blue-filled)" },
];

export function useQueues() {
  return useInfiniteQuery({
    queryKey: ["queues"],
    queryFn: async ({ pageParam, signal }) => {
      const page = await get<QueuePage>("/queues", { limit: A_PAGE, cursor: pageParam }, signal);
      page.items.forEach(take);
      queueHistory.sweep(Date.now());
      return page;
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    refetchInterval: EVERY_MS,
    retry: false,
  });
}

export function useQueue(name: string) {
  return useQuery({
    queryKey: ["queue", name],
    queryFn: async ({ signal }) => {
      const queue = await get<QueueDetail>(queuePath(name), {}, signal);
      take(queue);
      return queue;
    },
    refetchInterval: EVERY_MS,
    retry: false,
  });
}

export function useTasks(name: string) {
  return useQuery({
    queryKey: ["queue-tasks", name],
    queryFn: ({ signal }) => get<QueueTasks>(`${queuePath(name)}/tasks`, {}, signal),
    refetchInterval: TASKS_EVERY_MS,
    retry: false,
  });
}

export function queuePath(name: string): string {
  return `/queues/${encodeURIComponent(name)}`;
}

function take(queue: Queue): void {
  queueHistory.take(queue.name, Date.now(), [waitingIn(queue), queue.counts.active ?? 0]);
}

/** Jobs that could begin if a worker was free. */
export function waitingIn({ counts }: Queue): number {
  return (counts.waiting ?? 0) + (counts.prioritized ?? 0);
}

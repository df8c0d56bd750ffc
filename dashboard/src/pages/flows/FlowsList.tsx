/** The list below the filters: its rows, what waits to come in, what comes after, or why there is nothing. */
import { Box, Button, Center, Text } from "@mantine/core";
import { IconArrowUp } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { ProblemAlert } from "../../parts/problem";
import { NothingFound, NothingYet } from "./Empty";
import { countOf, NO_FILTERS, type Filters } from "./filters";
import type { FlowList } from "./flowList";
import classes from "./flows.module.css";
import { FlowTable } from "./FlowTable";
import { Skeletons } from "./Skeletons";
import { useFlowList } from "./useFlowList";
import { useIsAtTop } from "./useIsAtTop";

/** How far below the window the next page is asked for. */
const AHEAD = "800px";

export function FlowsList({ filters, onChange }: { filters: Filters; onChange: (filters: Filters) => void }) {
  const list = useFlowList(filters);
  const top = useRef<HTMLDivElement>(null);
  const isAtTop = useIsAtTop(top);
  useEffect(() => list.hold(!isAtTop), [list, isAtTop]);
  return (
    <Box ref={top} className={classes.list} aria-busy={list.isReading}>
      <Waiting list={list} onShow={() => window.scrollTo({ top: 0 })} />
      {list.error !== null && list.shown.length === 0 && <ProblemAlert error={list.error} title="The flows could not be read" />}
      {!list.isRead && list.error === null && <Skeletons />}
      {list.isRead && list.shown.length === 0 && list.error === null && (
        countOf(filters) === 0 ? <NothingYet /> : <NothingFound onReset={() => onChange(NO_FILTERS)} />
      )}
      {list.shown.length > 0 && (
        <>
          <FlowTable rows={list.shown} />
          <More list={list} />
        </>
      )}
    </Box>
  );
}

/** How many new flows wait above. */
function Waiting({ list, onShow }: { list: FlowList; onShow: () => void }) {
  const count = list.waitingCount;
  const more = list.hasOverflown ? "+" : "";
  return (
    <div className={classes.pill} role="status">
      {(count > 0 || list.hasOverflown) && (
        <Button radius="xl" size="compact-md" leftSection={<IconArrowUp size={14} aria-hidden />} onClick={onShow}>
          {count === 0 ? "New flows" : count === 1 && more === "" ? "1 new flow" : `${count}${more} new flows`}
        </Button>
      )}
    </div>
  );
}

/** The end of what is read. The next page is asked for when this comes near, or by hand. */
function More({ list }: { list: FlowList }) {
  const end = useRef<HTMLDivElement>(null);
  const mayAsk = list.hasMore && list.error === null;
  useEffect(() => {
    if (end.current === null || !mayAsk) return;
    const observer = new IntersectionObserver(
      ([seen]) => seen?.isIntersecting && void list.readMore(),
      { rootMargin: AHEAD },
    );
    observer.observe(end.current);
    return () => observer.disconnect();
    // Looked at anew with each page: one that is too short for the window does not move the end out of it.
  }, [list, mayAsk, list.shown.length]);
  return (
    <Box ref={end} py="md">
      {list.error !== null && <ProblemAlert error={list.error} title="The flows could not be read" />}
      <Center mt="xs">
        {list.hasMore ? (
          <Button variant="default" loading={list.isReadingMore} onClick={() => void list.readMore()}>
            Load more
          </Button>
        ) : (
          <Text size="sm" c="dimmed">
            {list.shown.length === 1 ? "This is the only one" : `These are all ${list.shown.length.toLocaleString()}`}
          </Text>
        )}
      </Center>
    </Box>
  );
}

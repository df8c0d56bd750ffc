/** The log of a flow: every entry by its number, read where one looks. */
import { Alert, Stack, Text } from "@mantine/core";
import { useDeferredValue, useState } from "react";
import { hasEnded } from "../../../api/types";
import type { Board } from "../../../board/board";
import { useEventLog } from "../../../board/log";
import { Entries } from "./Entries";
import { isEmpty, type Filter } from "./filter";
import { LogControls } from "./LogControls";
import { useMatches } from "./useMatches";

interface EventLogViewProps {
  board: Board;
  onSelect(jobId: string): void;
}

export function EventLogView({ board, onSelect }: EventLogViewProps) {
  const log = useEventLog(board);
  const [filter, setFilter] = useState<Filter>({ kinds: [], text: "" });
  const { found, read } = useMatches(board, log, useDeferredValue(filter));
  // A flow that was running when it was first seen is followed to its last entry, until somebody lets go.
  const [followed, setFollowing] = useState<boolean | null>(null);
  if (followed === null && board.flow !== null) setFollowing(!hasEnded(board.flow.status));
  const isFollowing = followed === true;
  // With a number of its own, so that the same entry can be gone to twice.
  const [jump, setJump] = useState({ to: 0, count: 0 });
  const total = log.lastSeq;
  const status =
    found === null
      ? `${total.toLocaleString()} ${total === 1 ? "entry" : "entries"}`
      : `${found.length.toLocaleString()} of ${total.toLocaleString()} entries match`;
  const reading = found !== null && read < total ? ` – reading the log: ${read.toLocaleString()} of ${total.toLocaleString()} looked at` : "";
  return (
    <Stack gap="xs">
      <LogControls
        filter={filter}
        onFilter={setFilter}
        lastSeq={total}
        onJump={(to) => {
          setFollowing(false);
          setJump(({ count }) => ({ to, count: count + 1 }));
        }}
        isFollowing={isFollowing}
        onFollow={setFollowing}
      />
      {log.problem !== null && (
        <Alert color="yellow" p="xs">
          <Text size="sm">The log cannot be read on: {log.problem.message} It is asked for again.</Text>
        </Alert>
      )}
      <Text size="xs" role="status">
        {status}
        {reading}
      </Text>
      <Entries
        key={isEmpty(filter) ? "all" : "found"}
        board={board}
        log={log}
        found={found}
        jump={jump}
        isFollowing={isFollowing}
        onFollow={setFollowing}
        onSelect={onSelect}
      />
    </Stack>
  );
}

import { useEffect, useState } from "react";
import type { Board } from "../../../board/board";
import type { EventLog } from "../../../board/log";
import { isEmpty, matches, type Filter } from "./filter";
import { nameIn } from "./words";

export interface Matches {
  /** The numbers of the entries that were found; null when nothing is looked for. */
  found: readonly number[] | null;
  /** How many entries have been looked at. */
  read: number;
}

const NOTHING: Matches = { found: null, read: 0 };

/** Reads the whole log, bit by bit, and keeps the numbers of what is looked for; goes on with what comes. */
export function useMatches(board: Board, log: EventLog, filter: Filter): Matches {
  const [search, setSearch] = useState<{ filter: Filter; found: number[]; next(): number } | null>(null);
  useEffect(() => {
    if (isEmpty(filter)) {
      setSearch(null);
      return;
    }
    const found: number[] = [];
    const reading = log.loadAll((event) => {
      const name = event.id == null ? (board.flow?.name ?? "") : (board.jobs.get(event.id)?.name ?? nameIn(event) ?? "");
      if (matches(filter, event, name)) found.push(event.seq);
    });
    setSearch({ filter, found, next: () => reading.next });
    return () => log.stop(reading);
  }, [board, log, filter]);
  if (search === null || isEmpty(filter)) return NOTHING;
  // What was found for another filter is not shown for this one.
  return search.filter === filter ? { found: search.found, read: search.next() - 1 } : { found: [], read: 0 };
}

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Board } from "../../../board/board";
import { useEventLog, type Reading } from "../../../board/log";
import { AttemptBook, type Attempts } from "./attempts";

/** Up to so many entries are read unasked. The board knows the last attempt of each job without them. */
const READ_UNASKED = 10_000;

interface KnownAttempts {
  attempts: Attempts;
  /** How many entries of the log have been read. */
  read: number;
  /** Read on, however many entries there are; null when that is being done. */
  readAll: (() => void) | null;
}

/** The attempts of all jobs, read from the log bit by bit while the component is shown. */
export function useAttempts(board: Board): KnownAttempts {
  const log = useEventLog(board);
  const book = useMemo(() => ({ log, attempts: new AttemptBook() }), [log]);
  const reading = useRef<Reading | null>(null);
  const [isAsked, setAsked] = useState(false);
  const reads = isAsked || (log.lastSeq > 0 && log.lastSeq <= READ_UNASKED) || reading.current !== null;
  useEffect(() => {
    if (!reads) return;
    // Begun anew, for instance when shown again: the book is as well.
    book.attempts = new AttemptBook();
    const begun = log.loadAll((event) => book.attempts.take(event));
    reading.current = begun;
    return () => {
      log.stop(begun);
      reading.current = null;
    };
  }, [log, book, reads]);
  const readAll = useCallback(() => setAsked(true), []);
  return {
    attempts: book.attempts.attempts,
    read: (reading.current?.next ?? 1) - 1,
    readAll: reads || log.lastSeq === 0 ? null : readAll,
  };
}

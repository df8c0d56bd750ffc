import { useEffect, useState } from "react";
import { get } from "../../../api/rest";
import type { Line, LinePage } from "../../../api/types";
import type { Board } from "../../../board/board";
import { withLines } from "./lines";

const PAGE = 500;
const READ_AGAIN_AFTER_MS = 2_000;

interface Lines {
  lines: readonly Line[];
  isLoading: boolean;
  error: unknown;
}

/**
 * The newest lines that a job's handler has logged, as they come. Live lines may be left out when many come, and carry
 * no number to go on from: they are read again after each loss of the connection and when one is seen to be missing. A
 * line that comes by both ways is held once.
 */
export function useLines(board: Board, jobId: string): Lines {
  const [readings, setReadings] = useState(0);
  const [state, setState] = useState<Lines & { of: string }>({ ...NONE, of: jobId });
  useEffect(() => {
    const reading = new AbortController();
    let come: Line[] = [];
    let frame: number | null = null;
    let last: number | null = null;
    const add = (more: readonly Line[]) =>
      setState((before) => ({ ...before, of: jobId, lines: withLines(before.of === jobId ? before.lines : [], more) }));
    const hear = (line: Line) => {
      if (line.id !== jobId) return;
      come.push(line);
      frame ??= requestAnimationFrame(() => {
        frame = null;
        if (isMissing(come, last)) again ??= setTimeout(readAgain, READ_AGAIN_AFTER_MS);
        add(come);
        last = come.at(-1)?.n ?? last;
        come = [];
      });
    };
    let again: ReturnType<typeof setTimeout> | null = null;
    const readAgain = () => setReadings((before) => before + 1);
    board.onLine.add(hear);
    board.onSubscribed.add(readAgain);
    readAll(jobId, reading.signal, add).then(
      () => setState((before) => ({ ...before, of: jobId, isLoading: false, error: null })),
      (error: unknown) => reading.signal.aborted || setState((before) => ({ ...before, of: jobId, isLoading: false, error })),
    );
    return () => {
      board.onLine.delete(hear);
      board.onSubscribed.delete(readAgain);
      if (again !== null) clearTimeout(again);
      reading.abort();
      if (frame !== null) cancelAnimationFrame(frame);
    };
  }, [board, jobId, readings]);
  return state.of === jobId ? state : NONE;
}

/** Whether a number is left out between lines that have come live. */
function isMissing(come: readonly Line[], last: number | null): boolean {
  return come.some((line, place) => {
    const before = place === 0 ? last : (come[place - 1]?.n ?? null);
    return before !== null && line.n > before + 1;
  });
}

const NONE: Lines = { lines: [], isLoading: true, error: null };

async function readAll(jobId: string, signal: AbortSignal, add: (lines: readonly Line[]) => void): Promise<void> {
  let cursor: string | null = null;
  do {
    const page: LinePage = await get(`/jobs/${encodeURIComponent(jobId)}/logs`, { limit: PAGE, cursor }, signal);
    if (page.items.length > 0) add(page.items);
    cursor = page.next;
  } while (cursor !== null);
}

import { useEffect, useState } from "react";
import { get } from "../../../api/rest";
import type { Line, LinePage } from "../../../api/types";
import { useLiveState } from "../../../api/useLive";
import type { Board } from "../../../board/board";
import { withLines } from "./lines";

const PAGE = 500;

interface Lines {
  lines: readonly Line[];
  isLoading: boolean;
  error: unknown;
}

/**
 * The newest lines that a job's handler has logged, as they come. Live lines carry no number to go on from: after each
 * loss of the connection they are read again, and a line that comes by both ways is held once.
 */
export function useLines(board: Board, jobId: string): Lines {
  const isConnected = useLiveState() === "open";
  const [state, setState] = useState<Lines & { of: string }>({ ...NONE, of: jobId });
  useEffect(() => {
    const reading = new AbortController();
    let come: Line[] = [];
    let frame: number | null = null;
    const add = (more: readonly Line[]) =>
      setState((before) => ({ ...before, of: jobId, lines: withLines(before.of === jobId ? before.lines : [], more) }));
    const hear = (line: Line) => {
      if (line.id !== jobId) return;
      come.push(line);
      frame ??= requestAnimationFrame(() => {
        frame = null;
        add(come);
        come = [];
      });
    };
    board.onLine.add(hear);
    readAll(jobId, reading.signal, add).then(
      () => setState((before) => ({ ...before, of: jobId, isLoading: false, error: null })),
      (error: unknown) => reading.signal.aborted || setState((before) => ({ ...before, of: jobId, isLoading: false, error })),
    );
    return () => {
      board.onLine.delete(hear);
      reading.abort();
      if (frame !== null) cancelAnimationFrame(frame);
    };
  }, [board, jobId, isConnected]);
  return state.of === jobId ? state : NONE;
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

import type { Board } from "../../../board/board";

export function Graph(_: { board: Board; selected: string | null; onSelect: (jobId: string) => void }) {
  return null;
}

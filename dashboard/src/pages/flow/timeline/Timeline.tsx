import type { Board } from "../../../board/board";

export function Timeline(_: { board: Board; selected: string | null; onSelect: (jobId: string) => void }) {
  return null;
}

import type { Board } from "../../../board/board";

export function EventLogView(_: { board: Board; onSelect: (jobId: string) => void }) {
  return null;
}

import type { Board } from "../../../board/board";

interface JobPanelProps {
  board: Board;
  jobId: string | null;
  onClose: () => void;
  onSelect: (jobId: string) => void;
}

export function JobPanel(_: JobPanelProps) {
  return null;
}

import { Button, Stack } from "@mantine/core";
import { useState } from "react";
import type { Board } from "../../../board/board";
import type { BoardJob } from "../../../board/jobs";
import { useOnBoard } from "../../../board/useOnBoard";
import { CountsBar, CountsRow } from "../../../parts/status";
import { countsOf } from "../graph/jobMarks";
import { JobLink } from "./JobLink";
import { Section } from "./Section";

interface KinProps {
  board: Board;
  job: BoardJob;
  onSelect(id: string): void;
}

const AT_FIRST = 20;
const MORE = 100;

/** The job above, and those below: all by their states, the first by their names. */
export function Kin({ board, job, onSelect }: KinProps) {
  const [shown, setShown] = useState(AT_FIRST);
  useOnBoard(board, (jobs) => jobs.get(job.id)?.below.join());
  const { parentId, children } = job;
  const hidden = children.length - shown;
  return (
    <>
      {parentId !== null && (
        <Section title="Parent">
          <JobLink board={board} jobId={parentId} onSelect={onSelect} />
        </Section>
      )}
      {children.length > 0 && (
        <Section title={children.length === 1 ? "Child" : `${children.length.toLocaleString()} children`}>
          <Stack gap="xs">
            {children.length > 1 && (
              <>
                <CountsBar counts={countsOf(job.below)} label="Jobs below" />
                <CountsRow counts={countsOf(job.below)} />
              </>
            )}
            <Stack gap={4} align="flex-start">
              {children.slice(0, shown).map((id) => (
                <JobLink key={id} board={board} jobId={id} onSelect={onSelect} />
              ))}
            </Stack>
            {hidden > 0 && (
              <Button variant="default" size="xs" onClick={() => setShown(shown + MORE)} style={{ alignSelf: "flex-start" }}>
                Show {Math.min(MORE, hidden)} of {hidden.toLocaleString()} more
              </Button>
            )}
          </Stack>
        </Section>
      )}
    </>
  );
}

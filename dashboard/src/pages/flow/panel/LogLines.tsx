import { Text } from "@mantine/core";
import { memo, useLayoutEffect, useRef } from "react";
import type { Line } from "../../../api/types";
import type { Board } from "../../../board/board";
import { ProblemAlert } from "../../../parts/problem";
import { MOST_LINES } from "./lines";
import { useLines } from "./useLines";
import classes from "./panel.module.css";

const LONGEST_SHOWN = 4_000;
const AT_END_PX = 24;

/** What a job's handler has logged. It stays at the end while new lines come, unless somebody reads further up. */
export function LogLines({ board, jobId }: { board: Board; jobId: string }) {
  const { lines, isLoading, error } = useLines(board, jobId);
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current !== null && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  const scrolled = () => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = box.current ?? {};
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < AT_END_PX;
  };

  if (error !== null) return <ProblemAlert error={error} title="The log lines could not be read" />;
  if (lines.length === 0) return <Text size="sm" className={classes.quiet}>{isLoading ? "…" : "It has logged nothing."}</Text>;
  return (
    <>
      {lines.length === MOST_LINES && (
        <Text size="xs" className={classes.quiet} mb={4}>
          The newest {MOST_LINES.toLocaleString()} lines.
        </Text>
      )}
      <div ref={box} className={classes.lines} role="log" aria-live="off" aria-label="Log lines" tabIndex={0} onScroll={scrolled}>
        {lines.map((line) => (
          <LogLine key={line.n} line={line} />
        ))}
      </div>
    </>
  );
}

const LogLine = memo(function LogLine({ line }: { line: Line }) {
  const text = line.line.length > LONGEST_SHOWN ? `${line.line.slice(0, LONGEST_SHOWN)}…` : line.line;
  return (
    <div className={classes.line}>
      <time dateTime={line.at} title={`${line.at}, run ${line.run}`}>
        {new Date(line.at).toLocaleTimeString()}
      </time>
      <span>{text}</span>
    </div>
  );
});

/** Instants and durations. Times are local, with UTC on hover; what grows is looked at again as often as it shows. */
import { Text, Tooltip, type TextProps } from "@mantine/core";
import { useEffect, useState } from "react";

/** The instant now in milliseconds, again after each `everyMs`; it stands still with 0. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (everyMs === 0) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** 950 ms, 3.2 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function durationText(ms: number): string {
  // Each of them up to where it would be rounded to what comes after it.
  if (ms < 999.5) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return pair(seconds, 3_600, "h", 60, "min");
  return pair(seconds, 86_400, "d", 3_600, "h");
}

function pair(seconds: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % large) / small);
  const first = `${Math.floor(seconds / large)} ${largeUnit}`;
  return rest === 0 ? first : `${first} ${rest} ${smallUnit}`;
}

/** just now, 40 s ago, 20 min ago, 3 d ago: of an age the largest unit is enough. */
export function ageText(ms: number): string {
  if (ms < 5_000) return "just now";
  return `${durationText(ms).replace(/^(\d+ (?:min|h|d)) .*$/, "$1")} ago`;
}

export function localTime(instant: number | string): string {
  return new Date(instant).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** Younger than this, an age is told by the second. */
const YOUNG_MS = 90_000;

/** The local time of day, to the millisecond; with the day where that is not this one. */
export function timeOfDay(at: number | string, day?: string): string {
  const date = new Date(at);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0"));
  const time = `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  if (day === undefined || new Date(day).toDateString() === date.toDateString()) return time;
  return `${date.toLocaleDateString(undefined, { month: "short", day: "numeric" })} ${time}`;
}

export function utcText(at: number | string): string {
  return `${new Date(at).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

interface InstantProps extends TextProps {
  at: number | string | null | undefined;
  /** Shown as how long ago it was instead of the time of day. */
  ago?: boolean;
}

/** An instant; UTC stands in the tooltip. */
export function Instant({ at, ago = false, ...rest }: InstantProps) {
  const isYoung = ago && at != null && Date.now() - new Date(at).getTime() < YOUNG_MS;
  const now = useNow(isYoung ? 1_000 : ago ? 10_000 : 0);
  if (at == null) return <Text span c="dimmed" {...rest}>–</Text>;
  const date = new Date(at);
  return (
    <Tooltip label={utcText(at)} withArrow>
      <Text span {...rest}>
        <time dateTime={date.toISOString()}>{ago ? ageText(now - date.getTime()) : localTime(date.getTime())}</time>
      </Text>
    </Tooltip>
  );
}

interface DurationProps extends TextProps {
  from: number | string | null | undefined;
  /** Null while it goes on. */
  to: number | string | null | undefined;
}

/** How long something took, or takes. */
export function Duration({ from, to, ...rest }: DurationProps) {
  const now = useNow(from != null && to == null ? 1_000 : 0);
  if (from == null) return <Text span c="dimmed" {...rest}>–</Text>;
  const end = to == null ? Math.max(now, new Date(from).getTime()) : new Date(to).getTime();
  return <Text span {...rest}>{durationText(end - new Date(from).getTime())}</Text>;
}

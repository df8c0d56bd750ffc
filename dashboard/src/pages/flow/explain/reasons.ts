/** Why jobs do not run: how each reason is called and looks, and which are worth a word. */
import {
  IconArrowsSplit2,
  IconClockPause,
  IconGauge,
  IconHourglass,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlugConnectedX,
  IconQuestionMark,
  IconSend,
  IconSitemap,
  IconUserOff,
  type Icon,
} from "@tabler/icons-react";
import type { ExplainedReason } from "../../../api/types";

type Reason = ExplainedReason["reason"];

interface ReasonLook {
  title: string;
  icon: Icon;
  color: string;
}

export const REASONS: Record<Reason, ReasonLook> = {
  "engine-away": { title: "The engine is away", icon: IconPlugConnectedX, color: "orange" },
  "not-dispatched": { title: "Not in the engine yet", icon: IconSend, color: "gray" },
  lost: { title: "Lost by the engine", icon: IconQuestionMark, color: "orange" },
  "queue-paused": { title: "The queue is paused", icon: IconPlayerPause, color: "orange" },
  "no-worker": { title: "No worker", icon: IconUserOff, color: "orange" },
  "rate-limited": { title: "Rate limit reached", icon: IconGauge, color: "gray" },
  "concurrency-reached": { title: "As many run as may", icon: IconArrowsSplit2, color: "gray" },
  "waits-its-turn": { title: "Waits for its turn", icon: IconClockPause, color: "gray" },
  delayed: { title: "Delayed", icon: IconHourglass, color: "grape" },
  running: { title: "Running", icon: IconPlayerPlay, color: "blue" },
  "waits-for-children": { title: "Waits for children", icon: IconSitemap, color: "gray" },
};

/** What goes as it should needs no explanation. */
const USUAL: ReadonlySet<Reason> = new Set<Reason>(["running", "waits-for-children"]);

export function worthAWord(reasons: readonly ExplainedReason[]): ExplainedReason[] {
  return reasons.filter((reason) => !USUAL.has(reason.reason));
}

/** The rest in one line, empty when there is none. */
export function usualInWords(reasons: readonly ExplainedReason[]): string {
  const count = (wanted: Reason) => reasons.filter(({ reason }) => reason === wanted).reduce((sum, { count }) => sum + count, 0);
  const running = count("running");
  const parents = count("waits-for-children");
  return [
    running > 0 && `${running.toLocaleString()} ${running === 1 ? "job runs" : "jobs run"}`,
    parents > 0 && `${parents.toLocaleString()} ${parents === 1 ? "waits" : "wait"} for children`,
  ]
    .filter(Boolean)
    .join(", ");
}

export interface Piece {
  text: string;
  isCode: boolean;
}

/** A sentence of the service with a capital, and with what stands in backticks told apart. */
export function pieces(detail: string): Piece[] {
  const sentence = detail.charAt(0).toUpperCase() + detail.slice(1);
  return sentence
    .split("`")
    .map((text, place) => ({ text, isCode: place % 2 === 1 }))
    .filter(({ text }) => text !== "");
}

/** What is known about a text while it is being typed: first what we see ourselves, then what the service says. */
import { useEffect, useState } from "react";
import { inWords, post, Problem } from "../../api/rest";
import type { components } from "../../api/schema";
import { useLiveState } from "../../api/useLive";
import { read, serviceFaults, type Fault, type Reading } from "./faults";

export type CheckedFlow = components["schemas"]["CheckedFlow"];

export interface Check {
  reading: Reading;
  faults: readonly Fault[];
  /** What would be made, as the service has said of this very text. */
  checked: CheckedFlow | null;
  state: "reading" | "asking" | "good" | "bad" | "unasked";
  /** Why the service has not been asked, or has not answered. */
  why: string;
}

const OF_THE_TEXT: ReadonlySet<number> = new Set([400, 409, 413, 422]);
const READ_AFTER_MS = 120;
const ASK_AFTER_MS = 500;
/** A larger text is not sent with every pause of whoever types it. */
const LARGEST_ASKED = 4_000_000;

export function useCheck(text: string): Check {
  const [check, setCheck] = useState<Check>(() => firstLook(text));
  // A service that comes back is asked again.
  const isThere = useLiveState() === "open";
  useEffect(() => {
    const aborter = new AbortController();
    const reader = setTimeout(() => setCheck((known) => (known.reading.text === text ? known : firstLook(text))), READ_AFTER_MS);
    const asker = setTimeout(() => void ask(text, aborter.signal, setCheck), ASK_AFTER_MS);
    return () => {
      clearTimeout(reader);
      clearTimeout(asker);
      aborter.abort();
    };
  }, [text, isThere]);
  return check.reading.text === text ? check : { ...check, state: "reading", checked: null };
}

function firstLook(text: string): Check {
  const reading = read(text);
  const isAsked = reading.isJson && text.length <= LARGEST_ASKED;
  const why = isAsked || !reading.isJson ? "" : "It is too long to be checked while you type; Create checks it.";
  const state = !reading.isJson ? "bad" : isAsked ? "asking" : reading.faults.length > 0 ? "bad" : "unasked";
  return { reading, faults: reading.faults, checked: null, state, why };
}

async function ask(text: string, signal: AbortSignal, tell: (next: (known: Check) => Check) => void): Promise<void> {
  const reading = read(text);
  if (!reading.isJson || text.length > LARGEST_ASKED) return;
  const answer = await answerOf(reading, signal);
  if (answer !== null && !signal.aborted) tell(() => ({ ...firstLook(text), ...answer }));
}

/** Whether the text is at fault, and not who sends it, or how often. */
function isOfTheText(problem: Problem): boolean {
  return (problem.faults?.length ?? 0) > 0 || OF_THE_TEXT.has(problem.status);
}

/** The service has the last word: what it names takes the place of what we have found. */
async function answerOf(reading: Reading, signal: AbortSignal): Promise<Partial<Check> | null> {
  try {
    const checked = await post<CheckedFlow>("/flows?dryRun=true", { body: reading.text, signal });
    return { state: "good", checked, faults: [] };
  } catch (error) {
    if (signal.aborted) return null;
    if (error instanceof Problem && isOfTheText(error)) return { state: "bad", faults: serviceFaults(error, reading) };
    const isRefused = error instanceof Problem && error.status >= 400 && error.status < 500;
    const why = error instanceof Problem && !isRefused ? "The service has not answered; Create asks it again." : inWords(error);
    return { state: reading.faults.length > 0 ? "bad" : "unasked", why };
  }
}

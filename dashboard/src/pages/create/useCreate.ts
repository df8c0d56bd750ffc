/** Sends the request, once for each text, and says how it went. */
import { useRef, useState } from "react";
import { useLocation } from "wouter";
import { post, Problem } from "../../api/rest";
import type { CreatedFlow } from "../../api/types";
import { dropDraft, keyOf } from "./draft";
import { read, serviceFaults, type Fault } from "./faults";

export interface Refusal {
  /** The text that was refused. */
  text: string;
  error: unknown;
  /** Its places, when the refusal names any. */
  faults: readonly Fault[];
}

export function useCreate(): { create: (text: string) => void; isSending: boolean; refusal: Refusal | null } {
  const [, go] = useLocation();
  const [isSending, setSending] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const isUnderWay = useRef(false);

  const send = async (text: string) => {
    isUnderWay.current = true;
    setSending(true);
    setRefusal(null);
    try {
      const flow = await post<CreatedFlow>("/flows", { body: text, headers: { "Idempotency-Key": keyOf(text) } });
      dropDraft();
      go(`/flows/${encodeURIComponent(flow.id)}`);
    } catch (error) {
      const isNamed = error instanceof Problem && (error.faults?.length ?? 0) > 0;
      setRefusal({ text, error: withWayOn(error), faults: isNamed ? serviceFaults(error, read(text)) : [] });
    } finally {
      isUnderWay.current = false;
      setSending(false);
    }
  };
  const create = (text: string) => {
    if (!isUnderWay.current) void send(text);
  };
  return { create, isSending, refusal };
}

/** What was lost on its way may have become a flow all the same; its key keeps it from becoming two. */
function withWayOn(error: unknown): unknown {
  if (!(error instanceof Problem) || (error.status > 0 && error.status < 500)) return error;
  const what = error.status === 0 ? "The service does not answer, so it is not known whether the flow was created." : error.detail;
  return new Problem(error.status, error.title, `${what} Press Create again: it will not be made twice.`, error.faults);
}

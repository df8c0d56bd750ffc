/** The state of the line to the service, for those who show it. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { live, type LiveState } from "./live";

export function useLiveState(): LiveState {
  return useSyncExternalStore(
    (changed) => live.watch(changed),
    () => live.state,
  );
}

const UNNOTICED_MS = 1_000;

/** Whether the line has been lost for so long that it should be said. One that was refused is not lost. */
export function useIsCutOff(): boolean {
  const state = useLiveState();
  const [isCutOff, setCutOff] = useState(false);
  useEffect(() => {
    if (state === "open" || state === "refused") {
      setCutOff(false);
      return;
    }
    const timer = setTimeout(() => setCutOff(true), UNNOTICED_MS);
    return () => clearTimeout(timer);
  }, [state]);
  return isCutOff;
}

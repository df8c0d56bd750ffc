/** Where on a flow's page somebody is: the view, and the job whose panel is open. It stands in the address. */
import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

export const VIEWS = ["graph", "timeline", "log"] as const;
export type View = (typeof VIEWS)[number];

export interface Place {
  view: View;
  jobId: string | null;
}

export function placeIn(search: string): Place {
  const query = new URLSearchParams(search);
  const tab = query.get("tab");
  return { view: VIEWS.find((view) => view === tab) ?? "graph", jobId: query.get("job") || null };
}

/** The same address with another place; what else stands in it stays. */
export function withPlace(search: string, { view, jobId }: Place): string {
  const query = new URLSearchParams(search);
  query.delete("tab");
  query.delete("job");
  if (view !== "graph") query.set("tab", view);
  if (jobId !== null) query.set("job", jobId);
  return query.size === 0 ? "" : `?${query}`;
}

interface Moves extends Place {
  show: (view: View) => void;
  select: (jobId: string | null) => void;
}

/** The place, and the ways to another one. Each is a step that the browser's back button takes back. */
export function usePlace(): Moves {
  const [location, navigate] = useLocation();
  const search = useSearch();
  const go = useCallback(
    (change: Partial<Place>) => {
      const next = withPlace(search, { ...placeIn(search), ...change });
      if (next !== withPlace(search, placeIn(search))) navigate(location + next);
    },
    [location, navigate, search],
  );
  const show = useCallback((view: View) => go({ view }), [go]);
  const select = useCallback((jobId: string | null) => go({ jobId }), [go]);
  return { ...placeIn(search), show, select };
}

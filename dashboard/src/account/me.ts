/** Who uses the dashboard, and how one signs in and out. */
import { useQuery, type QueryClient } from "@tanstack/react-query";
import { get, post, Problem, remove } from "../api/rest";
import type { Me } from "../api/types";

const KEY = ["me"];
const UNAUTHENTICATED = 401;

export function useMe() {
  return useQuery({ queryKey: KEY, queryFn: ({ signal }) => get<Me>("/me", {}, signal), staleTime: Infinity });
}

/** Whether this says that nobody is signed in, or no longer. */
export function isUnknown(error: unknown): boolean {
  return error instanceof Problem && error.status === UNAUTHENTICATED;
}

/** A session may end while pages are open: whoever asks who one is finds out. */
export function askAgain(queries: QueryClient): void {
  if (queries.getQueryState(KEY)?.status === "success") void queries.resetQueries({ queryKey: KEY });
}

/** Nothing of what was seen, or refused, before is kept. */
export async function signIn(token: string): Promise<void> {
  await post("/session", { body: { token } });
  window.location.reload();
}

export async function signOut(): Promise<void> {
  await remove("/session");
  window.location.reload();
}

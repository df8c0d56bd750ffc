/** Who uses the dashboard, and how one signs in and out. */
import { queryOptions, useQuery, type QueryClient } from "@tanstack/react-query";
import { get, post, Problem, remove } from "../api/rest";
import type { Me } from "../api/types";

type Scope = Me["scopes"][number];

const KEY = ["me"];
export const UNAUTHENTICATED = 401;

let hasBeenKnown = false;

const ME = queryOptions({
  queryKey: KEY,
  queryFn: async ({ signal }) => {
    const me = await get<Me>("/me", {}, signal);
    hasBeenKnown = true;
    return me;
  },
  staleTime: Infinity,
});

/** Whether this page has known somebody, who then was not known any more. */
export function wasSignedIn(): boolean {
  return hasBeenKnown;
}

export function useMe() {
  return useQuery(ME);
}

/** Whether one may do that; true as long as it is not known, and then the service says what it thinks. */
export function useMay(scope: Scope): boolean {
  const scopes = useMe().data?.scopes;
  return scopes === undefined || covers(scopes, scope);
}

/** An admin may do all; what is hidden is shown to those alone who have the scope for it. */
export function covers(scopes: readonly Scope[], scope: Scope): boolean {
  return scopes.includes(scope) || (scope !== "payloads" && scopes.includes("admin"));
}

/** How a command at a shell says who asks: nothing where nobody needs to. */
export function useCredentials(): string {
  return useMe().data?.auth === "token" ? ` -H "Authorization: Bearer $BULLFLOW_TOKEN"` : "";
}

/** Whether this says that nobody is signed in, or no longer. */
export function isUnknown(error: unknown): boolean {
  return error instanceof Problem && error.status === UNAUTHENTICATED;
}

/** A session may end while pages are open: whoever asks who one is finds out. Tells whether one may go on. */
export async function askAgain(queries: QueryClient): Promise<boolean> {
  const before = queries.getQueryState<Me>(KEY);
  if (before === undefined || isUnknown(before.error)) return false;
  if (before.status === "success") await queries.resetQueries({ queryKey: KEY });
  else await queries.fetchQuery(ME).catch(() => {}); // it is being asked already
  const after = queries.getQueryState<Me>(KEY);
  // Somebody else has signed in: what is shown is not theirs.
  if (before.data !== undefined && after?.data !== undefined && after.data.userId !== before.data.userId) window.location.reload();
  return !isUnknown(after?.error);
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

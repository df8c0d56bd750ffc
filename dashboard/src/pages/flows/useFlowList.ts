import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Filters } from "./filters";
import { FlowList } from "./flowList";

/** The list under these filters, kept up while the component is shown. It is drawn again with every change. */
export function useFlowList(filters: Filters): FlowList {
  const list = useMemo(() => new FlowList(filters), [filters]);
  useEffect(() => {
    list.open();
    return () => list.close();
  }, [list]);
  useSyncExternalStore(list.watch, () => list.version);
  return list;
}

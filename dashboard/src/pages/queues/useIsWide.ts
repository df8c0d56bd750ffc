import { useMediaQuery } from "@mantine/hooks";

/** Whether there is room for a table of many columns beside the list of pages. */
export function useIsWide(): boolean {
  return useMediaQuery("(min-width: 62em)", true, { getInitialValueInEffect: false });
}

import { useMantineTheme } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";

/** Whether the window is as narrow as a phone, where a table has no room. */
export function useIsNarrow(): boolean {
  const { sm } = useMantineTheme().breakpoints;
  return !useMediaQuery(`(min-width: ${sm})`, true, { getInitialValueInEffect: false });
}

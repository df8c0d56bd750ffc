import { Skeleton, Stack } from "@mantine/core";
import classes from "./flows.module.css";

/** Where rows will stand. They come in late, so that a fast answer does not flicker. */
export function Skeletons() {
  return (
    <Stack gap="xs" className={classes.late} role="status" aria-label="The flows are being read">
      {Array.from({ length: 8 }, (_, place) => (
        <Skeleton key={place} height={36} />
      ))}
    </Stack>
  );
}

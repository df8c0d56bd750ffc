import { Center, Loader } from "@mantine/core";

/** Stands where something is about to be. */
export function Loading() {
  return (
    <Center p="xl" role="status">
      <span className="visually-hidden">Loading</span>
      <Loader aria-hidden />
    </Center>
  );
}

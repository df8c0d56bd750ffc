/** All flows, newest first, as they are now. */
import { Button, Group, Stack } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useCallback, useMemo, useRef } from "react";
import { Link, useSearchParams } from "wouter";
import { useMay } from "../../account/me";
import { PageTitle } from "../../parts/heading";
import { FilterBar } from "./FilterBar";
import { filtersOf, queryOf, type Filters } from "./filters";
import { FlowsList } from "./FlowsList";

export default function FlowsPage() {
  const [query, setQuery] = useSearchParams();
  const mayWrite = useMay("write");
  const address = query.toString();
  const filters = useMemo(() => filtersOf(new URLSearchParams(address)), [address]);
  /** Where the last typing has led: what is typed on from there is no step of its own. */
  const typed = useRef<string | null>(null);
  const change = useCallback(
    (next: Filters, isTyped = false) => {
      const query = queryOf(next);
      setQuery(query, { replace: isTyped && typed.current === address });
      typed.current = isTyped ? query.toString() : null;
    },
    [setQuery, address],
  );
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <PageTitle>Flows</PageTitle>
        {mayWrite && (
          <Button component={Link} href="/flows/new" leftSection={<IconPlus size={16} aria-hidden />}>
            New flow
          </Button>
        )}
      </Group>
      <FilterBar filters={filters} onChange={change} />
      <FlowsList key={address} filters={filters} onChange={change} />
    </Stack>
  );
}

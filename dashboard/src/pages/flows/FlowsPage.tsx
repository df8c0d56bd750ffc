/** All flows, newest first, as they are now. */
import { Button, Group, Stack } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useCallback, useMemo } from "react";
import { Link, useSearchParams } from "wouter";
import { PageTitle } from "../../parts/heading";
import { FilterBar } from "./FilterBar";
import { filtersOf, queryOf, type Filters } from "./filters";
import { FlowsList } from "./FlowsList";

export default function FlowsPage() {
  const [query, setQuery] = useSearchParams();
  const address = query.toString();
  const filters = useMemo(() => filtersOf(new URLSearchParams(address)), [address]);
  const change = useCallback(
    (next: Filters, isTyped = false) => setQuery(queryOf(next), { replace: isTyped }),
    [setQuery],
  );
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <PageTitle>Flows</PageTitle>
        <Button component={Link} href="/flows/new" leftSection={<IconPlus size={16} aria-hidden />}>
          New flow
        </Button>
      </Group>
      <FilterBar filters={filters} onChange={change} />
      <FlowsList key={address} filters={filters} onChange={change} />
    </Stack>
  );
}

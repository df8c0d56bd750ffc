/** What to begin with: a template, or a flow that was. */
import { Button, Paper, Select, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconHistory, IconTemplate } from "@tabler/icons-react";
import { useState } from "react";
import { useMay } from "../../account/me";
import { get } from "../../api/rest";
import type { Flow, FlowPage, FlowTree } from "../../api/types";
import { leftOutOf, MOST_CHILDREN, templateOf } from "../../board/request";
import { ProblemAlert } from "../../parts/problem";
import { ageText } from "../../parts/time";
import { LOOKS } from "../../theme";
import classes from "./create.module.css";
import { TEMPLATES } from "./templates";

const PAST = 20;
/** As many children as the service puts into a tree. */

export function Beginnings({ onPick }: { onPick: (request: unknown) => void }) {
  return (
    <Paper withBorder p="sm" component="section" aria-label="Begin with">
      <Title order={2} size="h5" mb="xs">
        Begin with
      </Title>
      <Stack gap={6}>
        {TEMPLATES.map(({ title, detail, draft }) => (
          <Button
            key={title}
            variant="default"
            className={classes.template}
            justify="flex-start"
            leftSection={<IconTemplate size={16} aria-hidden />}
            onClick={() => onPick(draft)}
          >
            <span>
              <Text span size="sm" fw={500} display="block" lh={1.3}>
                {title}
              </Text>
              <Text span size="xs" c="dimmed" fw={400} display="block" lh={1.3} className={classes.detail}>
                {detail}
              </Text>
            </span>
          </Button>
        ))}
        <Past onPick={onPick} />
      </Stack>
      <Text size="xs" c="dimmed" mt="xs">
        It takes the place of the text. Undo in the editor brings that back.
      </Text>
    </Paper>
  );
}

function Past({ onPick }: { onPick: (request: unknown) => void }) {
  const { data } = useQuery({
    queryKey: ["past flows"],
    queryFn: ({ signal }) => get<FlowPage>("/flows", { limit: PAST }, signal),
    staleTime: 10_000,
  });
  const seesAll = useMay("payloads");
  const [leftOut, setLeftOut] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const pick = async (id: string) => {
    setError(null);
    try {
      const tree = await get<FlowTree>(`/flows/${encodeURIComponent(id)}/tree`, { maxChildren: MOST_CHILDREN });
      setLeftOut(leftOutOf(tree));
      onPick(templateOf(tree, seesAll));
    } catch (raised) {
      setError(raised);
    }
  };
  const flows = data?.items ?? [];
  return (
    <>
      <Select
        label="A past flow"
        placeholder={data === undefined ? "…" : flows.length === 0 ? "There is none yet" : `One of the last ${flows.length}`}
        disabled={flows.length === 0}
        leftSection={<IconHistory size={16} aria-hidden />}
        searchable
        nothingFoundMessage="No such name among them"
        // Picked once, and then the text is one's own.
        value={null}
        onChange={(id) => id !== null && void pick(id)}
        data={flows.map((flow) => ({ value: flow.id, label: flow.name }))}
        renderOption={({ option }) => <PastFlow flow={flows.find((flow) => flow.id === option.value)} />}
        maxDropdownHeight={320}
      />
      {leftOut > 0 && (
        <Text size="xs" role="status">
          The flow is so large that {leftOut.toLocaleString()} of its children were left out.
        </Text>
      )}
      {error !== null && <ProblemAlert error={error} title="That flow could not be read" />}
    </>
  );
}

function PastFlow({ flow }: { flow: Flow | undefined }) {
  if (flow === undefined) return null;
  return (
    <span className={classes.past}>
      <Text span size="sm" className={classes.detail}>
        {flow.name}
      </Text>
      <Text span size="xs" c="dimmed">
        {LOOKS[flow.status].word}, {ageText(Date.now() - Date.parse(flow.createdAt))}
      </Text>
    </span>
  );
}

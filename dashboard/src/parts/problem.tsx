import { Alert, Code, List, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { Problem, inWords } from "../api/rest";

/** An error of the service in its own words, with every fault. */
export function ProblemAlert({ error, title }: { error: unknown; title?: string }) {
  const problem = error instanceof Problem ? error : null;
  return (
    <Alert color="red" icon={<IconAlertTriangle aria-hidden />} title={title ?? problem?.title ?? "Error"} role="alert">
      <Text size="sm">{inWords(error)}</Text>
      {problem !== null && (problem.faults?.length ?? 0) > 0 && (
        <List size="sm" mt="xs">
          {problem.faults?.map((fault) => (
            <List.Item key={`${fault.pointer} ${fault.detail}`}>
              <Code>{fault.pointer || "/"}</Code> {fault.detail}
            </List.Item>
          ))}
        </List>
      )}
    </Alert>
  );
}

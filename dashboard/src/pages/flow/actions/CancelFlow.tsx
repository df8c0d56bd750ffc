import { Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { post } from "../../../api/rest";
import type { CancelledFlow } from "../../../api/types";
import { Confirm } from "../../../parts/confirm";
import type { QuestionProps } from "./Actions";

export function CancelFlow({ flowId, name, opened, onClose }: QuestionProps & { name: string }) {
  const cancel = async () => {
    const { applied } = await post<CancelledFlow>(`/flows/${encodeURIComponent(flowId)}/cancel`);
    if (applied) return;
    notifications.show({
      color: "orange",
      title: "Cancelled, but the engine does not know yet",
      message: "It does not answer. Jobs that run are stopped when it does; their results are ignored.",
      autoClose: 15_000,
    });
  };
  return (
    <Confirm title="Cancel this flow?" act="Cancel the flow" color="red" opened={opened} onClose={onClose} onConfirm={cancel}>
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        No further job of “{name}” starts. Those that run are told to stop, and what they still return is ignored. It can be
        retried later: what has completed stays.
      </Text>
    </Confirm>
  );
}

import { Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useLocation } from "wouter";
import { remove } from "../../../api/rest";
import { Confirm } from "../../../parts/confirm";
import type { QuestionProps } from "./Actions";

export function DeleteFlow({ flowId, name, opened, onClose }: QuestionProps & { name: string }) {
  const [, navigate] = useLocation();
  const removeIt = async () => {
    await remove(`/flows/${encodeURIComponent(flowId)}`);
    notifications.show({ message: `“${name}” is deleted.` });
    // Its page is gone: the way back must not lead to it.
    navigate("/flows", { replace: true });
  };
  return (
    <Confirm title="Delete this flow?" act="Delete for ever" color="red" opened={opened} onClose={onClose} onConfirm={removeIt}>
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        “{name}” goes with all of its jobs, results and its log. This cannot be undone.
      </Text>
    </Confirm>
  );
}

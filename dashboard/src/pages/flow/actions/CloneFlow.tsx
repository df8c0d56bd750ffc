import { Button, Modal } from "@mantine/core";
import { IconCopyPlus } from "@tabler/icons-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { useMay } from "../../../account/me";
import { get } from "../../../api/rest";
import type { FlowTree } from "../../../api/types";
import { leftOutOf, MOST_CHILDREN, TEMPLATE_KEY, templateOf } from "../../../board/request";
import { ProblemAlert } from "../../../parts/problem";

/** Opens the form for a new flow with this one's request in it. The form is the question: nothing is made before it is sent. */
export function CloneFlow({ flowId }: { flowId: string }) {
  const [, navigate] = useLocation();
  const seesAll = useMay("payloads");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const clone = async () => {
    setBusy(true);
    try {
      keepTemplate(await get<FlowTree>(`/flows/${encodeURIComponent(flowId)}/tree`, { maxChildren: MOST_CHILDREN }), seesAll);
      navigate("/flows/new");
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button variant="default" size="xs" leftSection={<IconCopyPlus size={14} aria-hidden />} loading={isBusy} onClick={() => void clone()}>
        Clone
      </Button>
      <Modal opened={error !== null} onClose={() => setError(null)} title="It cannot be cloned" centered>
        <ProblemAlert error={error} title="Why" />
      </Modal>
    </>
  );
}

function keepTemplate(tree: FlowTree, seesAll: boolean): void {
  if (leftOutOf(tree) > 0) {
    throw new Error(
      `A job of it has more than ${MOST_CHILDREN.toLocaleString()} children, which is too much for a form. Send its request to POST /flows instead.`,
    );
  }
  const request = JSON.stringify(templateOf(tree, seesAll), null, 2);
  try {
    sessionStorage.setItem(TEMPLATE_KEY, request);
  } catch (cause) {
    throw new Error("It is too large to be handed over within the browser. Send its request to POST /flows instead.", { cause });
  }
}

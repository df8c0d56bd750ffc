import { Alert } from "@mantine/core";
import { IconPlugConnectedX } from "@tabler/icons-react";
import { inWords } from "../../api/rest";
import { Instant } from "../../parts/time";

/** Says calmly that the engine gave no answer, and from when what is shown is (0: nothing is shown). */
export function EngineAway({ error, since }: { error: unknown; since: number }) {
  return (
    <Alert color="orange" icon={<IconPlugConnectedX aria-hidden />} title="No answer just now" role="status">
      {inWords(error)}{" "}
      {since > 0 ? (
        <>
          What you see is from <Instant at={since} size="sm" />, and is renewed as soon as there is an answer.
        </>
      ) : (
        "It is asked again every 2 seconds."
      )}
    </Alert>
  );
}

/** A new flow: its request as JSON, checked while it is typed, with fields, templates and past flows beside it. */
import { Button, Center, Group, Kbd, Paper, Stack, Text } from "@mantine/core";
import { IconBraces } from "@tabler/icons-react";
import { format, applyEdits } from "jsonc-parser";
import { lazy, Suspense, useCallback, useRef, useState } from "react";
import { useMay } from "../../account/me";
import { Copy } from "../../parts/copy";
import { Loading } from "../../parts/loading";
import { PageTitle } from "../../parts/heading";
import { Beginnings } from "./Beginnings";
import classes from "./create.module.css";
import { keepDraft, takeDraft } from "./draft";
import type { JsonEditorHandle } from "./editor/JsonEditor";
import { FaultList } from "./FaultList";
import type { Fault } from "./faults";
import { Preview } from "./Preview";
import { RootFields } from "./RootFields";
import { TEMPLATES } from "./templates";
import { useCheck } from "./useCheck";
import { useCreate } from "./useCreate";
import { Verdict } from "./Verdict";

const JsonEditor = lazy(() => import("./editor/JsonEditor"));
const HOW_TO_LEAVE = "how-to-leave-the-editor";

export default function CreatePage() {
  return useMay("write") ? <Form /> : <MayNot />;
}

function MayNot() {
  return (
    <Stack gap="md">
      <PageTitle>New flow</PageTitle>
      <Text>Your token may read, and not create flows: for that it needs the scope “write”.</Text>
    </Stack>
  );
}

function Form() {
  const [text, setText] = useState(() => takeDraft() ?? written(TEMPLATES[0]?.draft ?? {}));
  const editor = useRef<JsonEditorHandle>(null);
  const check = useCheck(text);
  const { create, isSending, refusal } = useCreate();
  const refused = refusal?.text === text ? refusal : null;
  const faults = refused !== null && refused.faults.length > 0 ? refused.faults : check.faults;

  const change = useCallback((next: string) => {
    setText(next);
    keepDraft(next);
  }, []);
  const submit = () => {
    if (check.reading.text === text && check.state === "bad") jump(faults[0]);
    else create(text);
  };
  const jump = (fault: Fault | undefined) => fault !== undefined && editor.current?.jump(fault.from, fault.to);

  return (
    <Stack gap="md">
      <PageTitle>New flow</PageTitle>
      <div className={classes.page}>
        <div className={classes.begin}>
          <Beginnings onPick={(request) => change(written(request))} />
        </div>
        <div className={classes.fields}>
          <RootFields reading={check.reading} text={text} onChange={change} />
        </div>
        <Stack gap="md" className={classes.main}>
          <Paper withBorder className={classes.editor}>
            <Group justify="space-between" px="sm" py={6} className={classes.bar}>
              <Text size="sm" fw={600}>
                Request
              </Text>
              <Group gap="xs">
                <Button
                  size="compact-sm"
                  variant="subtle"
                  leftSection={<IconBraces size={14} aria-hidden />}
                  disabled={!check.reading.isJson}
                  onClick={() => change(formatted(text))}
                >
                  Format
                </Button>
                <Copy text={text} what="the request" />
              </Group>
            </Group>
            <Suspense fallback={<Opening />}>
              <JsonEditor
                ref={editor}
                text={text}
                onChange={change}
                faults={faults}
                faultsOf={check.reading.text}
                onSubmit={submit}
                label="Request as JSON"
                describedBy={HOW_TO_LEAVE}
              />
            </Suspense>
          </Paper>
          <Text size="xs" c="dimmed" id={HOW_TO_LEAVE}>
            Tab indents; <Kbd size="xs">Esc</Kbd> and then <Kbd size="xs">Tab</Kbd> leaves the editor. <Kbd size="xs">F8</Kbd> goes
            to the next fault, <Kbd size="xs">Ctrl</Kbd> + <Kbd size="xs">Enter</Kbd> creates.
          </Text>
          <FaultList faults={faults} text={check.reading.text} onJump={jump} />
          <Preview check={check} />
        </Stack>
      </div>
      <Verdict
        check={check}
        faultCount={faults.length}
        failure={refused !== null && refused.faults.length === 0 ? refused.error : null}
        isSending={isSending}
        onCreate={submit}
      />
    </Stack>
  );
}

function Opening() {
  return (
    <Center className={classes.opening}>
      <Loading />
    </Center>
  );
}

function written(request: unknown): string {
  return JSON.stringify(request, null, 2);
}

function formatted(text: string): string {
  return applyEdits(text, format(text, undefined, { insertSpaces: true, tabSize: 2 }));
}

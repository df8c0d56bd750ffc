/** An editor for JSON. It comes in a chunk of its own: CodeMirror is large, and this is the only page that needs it. */
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";
import type { Fault } from "../faults";
import { changeBetween } from "./change";
import { look } from "./look";

export interface JsonEditorHandle {
  /** Go to a place in the text and mark it. */
  jump(from: number, to: number): void;
}

interface JsonEditorProps {
  text: string;
  onChange: (text: string) => void;
  /** What is wrong with `faultsOf`. */
  faults: readonly Fault[];
  faultsOf: string;
  onSubmit: () => void;
  label: string;
  /** The id of the element that says how to leave it. */
  describedBy: string;
  ref: Ref<JsonEditorHandle>;
}

export default function JsonEditor({ text, onChange, faults, faultsOf, onSubmit, label, describedBy, ref }: JsonEditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  /** The text in the editor, so that it is not asked for a copy with every change. */
  const held = useRef(text);
  const tell = useRef({ onChange, onSubmit });
  tell.current = { onChange, onSubmit };

  useEffect(() => {
    if (box.current === null) return;
    const made = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: held.current,
        extensions: [
          // Before all others, which would break the line.
          Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => (tell.current.onSubmit(), true) }])),
          lintGutter(),
          lineNumbers(),
          foldGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          indentUnit.of("  "),
          bracketMatching(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          json(),
          // Escape lets the next Tab leave: CodeMirror's own rule, in words below the editor.
          keymap.of([...lintKeymap, ...defaultKeymap, ...historyKeymap, ...foldKeymap, indentWithTab]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({
            "aria-label": label,
            "aria-describedby": describedBy,
            spellcheck: "false",
            tabindex: "0",
          }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            held.current = update.state.doc.toString();
            tell.current.onChange(held.current);
          }),
          look,
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, [label, describedBy]);

  // A text from elsewhere is one change, so that what stood there can be had back by undoing.
  useEffect(() => {
    if (view.current === null || text === held.current) return;
    view.current.dispatch({ changes: changeBetween(held.current, text) });
  }, [text]);

  useEffect(() => {
    if (view.current === null || faultsOf !== held.current) return;
    view.current.dispatch(setDiagnostics(view.current.state, faults.map(diagnosticOf)));
  }, [faults, faultsOf]);

  useImperativeHandle(ref, () => ({
    jump(from, to) {
      const { current } = view;
      if (current === null) return;
      const end = current.state.doc.length;
      const selection = { anchor: Math.min(from, end), head: Math.min(to, end) };
      current.dispatch({ selection, effects: EditorView.scrollIntoView(selection.anchor, { y: "center" }) });
      current.focus();
    },
  }));

  return <div ref={box} />;
}

function diagnosticOf({ from, to, pointer, detail }: Fault): Diagnostic {
  return { from, to, severity: "error", message: pointer === "" ? detail : `${pointer} ${detail}` };
}

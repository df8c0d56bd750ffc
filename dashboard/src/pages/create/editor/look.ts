/** How the editor looks. All colours are Mantine's variables, so that it follows the colour scheme by itself. */
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const theme = EditorView.theme({
  "&": {
    height: "clamp(320px, 58vh, 760px)",
    fontSize: "13px",
    color: "var(--mantine-color-text)",
    backgroundColor: "var(--mantine-color-body)",
  },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--mantine-color-text)", padding: "8px 0" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--mantine-color-text)" },
  ".cm-gutters": {
    color: "var(--mantine-color-dimmed)",
    backgroundColor: "light-dark(var(--mantine-color-gray-0), var(--mantine-color-dark-8))",
    borderRight: "1px solid var(--mantine-color-default-border)",
  },
  ".cm-gutter-lint": { width: "1.2em" },
  ".cm-activeLine, .cm-activeLineGutter": {
    backgroundColor: "light-dark(rgba(79, 100, 214, 0.07), rgba(135, 150, 227, 0.1))",
  },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, ::selection": {
    backgroundColor: "light-dark(var(--mantine-color-bull-1), var(--mantine-color-bull-9))",
  },
  "&.cm-focused .cm-matchingBracket": {
    backgroundColor: "light-dark(var(--mantine-color-bull-1), var(--mantine-color-dark-4))",
    outline: "1px solid var(--mantine-color-bull-3)",
  },
  ".cm-foldPlaceholder": {
    color: "var(--mantine-color-dimmed)",
    backgroundColor: "var(--mantine-color-default-hover)",
    border: "1px solid var(--mantine-color-default-border)",
    padding: "0 6px",
  },
  ".cm-tooltip": {
    color: "var(--mantine-color-text)",
    backgroundColor: "var(--mantine-color-default)",
    border: "1px solid var(--mantine-color-default-border)",
    borderRadius: "var(--mantine-radius-sm)",
    boxShadow: "var(--mantine-shadow-md)",
    maxWidth: "min(420px, 90vw)",
    overflowWrap: "anywhere",
  },
  ".cm-diagnostic": { padding: "6px 10px", fontFamily: "var(--mantine-font-family)" },
  ".cm-diagnostic-error": { borderLeft: "4px solid var(--mantine-color-red-filled)" },
  ".cm-panels": {
    color: "var(--mantine-color-text)",
    backgroundColor: "var(--mantine-color-body)",
    borderColor: "var(--mantine-color-default-border)",
  },
});

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "light-dark(#364bbc, #a9b6ff)" },
  { tag: tags.string, color: "light-dark(#087f5b, #63e6be)" },
  { tag: [tags.number, tags.bool], color: "light-dark(#b5480a, #ffc078)" },
  { tag: tags.null, color: "light-dark(#9c36b5, #e599f7)" },
  { tag: [tags.separator, tags.brace, tags.squareBracket], color: "var(--mantine-color-dimmed)" },
]);

export const look = [theme, syntaxHighlighting(colours)];

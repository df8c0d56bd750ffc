/** The panel's element: what lies beside it makes room. */
export const PANEL_ID = "job-panel";
export const PANEL_WIDTH = 460;

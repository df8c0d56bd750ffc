import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` shows the sources beside a service on its usual port.
const SERVICE = process.env.BULLFLOW_URL ?? "http://127.0.0.1:8420";
const API = ["/flows", "/jobs", "/queues", "/me", "/session", "/audit", "/healthz", "/readyz", "/openapi.json", "/docs"];

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    outDir: "../src/bullflow/http/static",
    emptyOutDir: true,
    target: "es2022",
    // Assets are files of their own, so that a strict content security policy can name where they come from.
    assetsInlineLimit: 0,
  },
  server: {
    proxy: {
      // The service serves its own pages alone, so what is passed on says that it comes from there.
      ...Object.fromEntries(API.map((path) => [path, { target: SERVICE, headers: { origin: SERVICE }, changeOrigin: true }])),
      "/ws": { target: SERVICE, ws: true, headers: { origin: SERVICE }, changeOrigin: true },
    },
  },
});

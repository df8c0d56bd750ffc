/** Flows to begin with. They run as they are with the worker of `examples/video`. */

/** A request as somebody writes it: what has a default may be left out. */
export interface Draft {
  name: string;
  queueName: string;
  data?: unknown;
  opts?: Record<string, unknown>;
  children?: Draft[];
  tags?: string[];
  failFast?: boolean;
  deadline?: number;
}

export interface Template {
  title: string;
  detail: string;
  draft: Draft;
}

const QUEUE = "flowQueue";

function download(data: Record<string, unknown>, opts: Draft["opts"] = { attempts: 3 }): Draft {
  return { name: "download-video", queueName: QUEUE, data, opts };
}

/** The same as `examples/video/flow.json`. */
export const VIDEO: Draft = {
  name: "watermark-video",
  queueName: QUEUE,
  data: { watermarkText: "My Watermark" },
  children: [
    download({ videoId: "sample" }),
    { name: "generate-thumbnail", queueName: QUEUE, children: [download({ videoId: "sample" })] },
  ],
};

const FAILING: Draft = {
  name: "watermark-video",
  queueName: QUEUE,
  data: { watermarkText: "Never seen" },
  tags: ["example"],
  children: [
    // Nobody listens there: each attempt fails, and after the last the parent does.
    download({ url: "http://127.0.0.1:9/nothing.mp4" }, { attempts: 3, backoff: { type: "exponential", delay: 1_000 } }),
    { name: "generate-thumbnail", queueName: QUEUE, children: [download({ videoId: "sample" })] },
  ],
};

const FAN_OUT: Draft = {
  name: "watermark-video",
  queueName: QUEUE,
  data: { watermarkText: "One of ten" },
  tags: ["example"],
  children: Array.from({ length: 10 }, () => download({ videoId: "sample" })),
};

export const TEMPLATES: readonly Template[] = [
  { title: "Video", detail: "Downloads, a thumbnail, a watermark", draft: VIDEO },
  { title: "Failing child", detail: "Three attempts, then the parent fails", draft: FAILING },
  { title: "Fan-out of 10", detail: "Ten children before one parent", draft: FAN_OUT },
];

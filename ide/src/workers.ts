/** Names of the built worker scripts, by editor language: `build.mjs` fills them in. */
declare const WORKER_FILES: Record<"editor" | "json" | "graphql", string>;

function getWorker(_id: string, label: string): Worker {
  const file = label === "json" || label === "graphql" ? WORKER_FILES[label] : WORKER_FILES.editor;
  return new Worker(new URL(file, import.meta.url));
}

Object.assign(globalThis, { MonacoEnvironment: { getWorker } });

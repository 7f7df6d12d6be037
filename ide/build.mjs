/**
 * Bundle GraphiQL into `dist/`: `graphiql.js` and `graphiql.css` are the names a template links to,
 * everything they load lies beside them under a name that changes with its content.
 */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { build } from "esbuild";

const OUT = process.argv[2] ?? "dist";

const WORKERS = {
  editor: "monaco-editor/esm/vs/editor/editor.worker.js",
  json: "monaco-editor/esm/vs/language/json/json.worker.js",
  graphql: "monaco-graphql/esm/graphql.worker.js",
};

const COMMON = {
  bundle: true,
  minify: true,
  outdir: OUT,
  target: "es2022",
  logLevel: "error",
  legalComments: "linked",
  define: { "process.env.NODE_ENV": '"production"' },
};

/** `graphiql/style.css` holds monaco's styles already. */
const monacoStylesOnce = {
  name: "monaco-styles-once",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]monaco-editor[\\/].*\.css$/ }, () => ({ contents: "", loader: "css" }));
  },
};

/** Write a font that is inlined in a style sheet to a file of its own, which browsers load when they need it. */
const fontsAsFiles = {
  name: "fonts-as-files",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^data:font\// }, ({ path }) => {
      const [, kind, data] = /^data:font\/(\w+).*?;base64,(.*)$/s.exec(path);
      const name = createHash("sha256").update(data).digest("hex").slice(0, 8);
      return { path: `${name}.${kind}`, namespace: "font", pluginData: Buffer.from(data, "base64") };
    });
    onLoad({ filter: /.*/, namespace: "font" }, ({ pluginData }) => ({ contents: pluginData, loader: "file" }));
  },
};

async function buildWorkers() {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: WORKERS,
    entryNames: "[name].worker-[hash]",
    format: "iife",
    metafile: true,
  });
  const scripts = Object.keys(metafile.outputs).filter((path) => path.endsWith(".js"));
  return Object.fromEntries(scripts.map((path) => [basename(path).split(".")[0], basename(path)]));
}

/** Prettier's old names lead to CommonJS, which loses its named exports when it is loaded on demand. */
const PRETTIER_MODULES = {
  "prettier/parser-graphql": "prettier/plugins/graphql",
  "prettier/parser-babel": "prettier/plugins/babel",
};

const workers = await buildWorkers();

await build({
  ...COMMON,
  entryPoints: { graphiql: "src/main.tsx" },
  chunkNames: "chunk-[hash]",
  assetNames: "font-[hash]",
  format: "esm",
  splitting: true,
  jsx: "automatic",
  alias: PRETTIER_MODULES,
  define: { ...COMMON.define, WORKER_FILES: JSON.stringify(workers) },
  plugins: [monacoStylesOnce, fontsAsFiles],
});

// Builds the page into the folder that wellhead serves: the same bytes for the same sources. `--into DIR` elsewhere.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const at = process.argv.indexOf("--into");
const into = at > 0 ? process.argv[at + 1] : new URL("../src/wellhead/page/static/", import.meta.url).pathname;
await mkdir(into, { recursive: true });
const common = { bundle: true, minify: true, target: ["chrome110", "firefox115", "safari16"], logLevel: "warning", legalComments: "none" };
await build({ ...common, entryPoints: ["src/main.tsx"], outfile: `${into}/page.js`, jsx: "automatic", jsxImportSource: "preact", format: "iife" });
await build({ ...common, entryPoints: ["src/page.css"], outfile: `${into}/page.css` });
await copyFile("index.html", `${into}/index.html`);

// What stands in it of others, with their licences.
const parts = [];
for (const name of ["preact", "@dagrejs/dagre", "@dagrejs/graphlib"]) {
  const { version, license } = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
  const text = await readFile(`node_modules/${name}/LICENSE`, "utf8");
  parts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
}
await writeFile(`${into}/licences.txt`, parts.join(`\n${"-".repeat(78)}\n\n`));

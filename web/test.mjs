// Runs test/*.test.ts by node's own runner: each is bundled by esbuild, for node reads no TypeScript with paths.
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const into = await mkdtemp(join(tmpdir(), "wellhead-page-"));
try {
  const tests = (await readdir("test")).filter((each) => each.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((each) => `test/${each}`), outdir: into, outExtension: { ".js": ".mjs" }, bundle: true,
    format: "esm", platform: "node", sourcemap: "inline", logLevel: "warning",
  });
  const files = tests.map((each) => join(into, each.replace(/\.ts$/, ".mjs")));
  process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" }).status;
} finally {
  await rm(into, { recursive: true });
}

// Puts Hydrogen, as its npm package has it, into a folder that a web server can hand out.

import { cpSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const require = createRequire(import.meta.url);
const HYDROGEN = dirname(dirname(require.resolve("hydrogen-view-sdk")));
const OLM = dirname(require.resolve("@matrix-org/olm"));
const START = fileURLToPath(new URL("../hydrogen/main.js", import.meta.url));

/** Unpacks the client into `folder`; it is going to suggest the homeserver at `url`. */
export async function unpackHydrogen(folder, url) {
    cpSync(join(HYDROGEN, "asset-build", "assets"), join(folder, "assets"), { recursive: true });
    cpSync(join(HYDROGEN, "lib-build", "sw.js"), join(folder, "sw.js"));
    ["olm.js", "olm.wasm", "olm_legacy.js"].forEach((name) => cpSync(join(OLM, name), join(folder, name)));
    writeFileSync(join(folder, "config.json"), JSON.stringify({ defaultHomeServer: url, themeManifests: [] }));
    writeFileSync(join(folder, "index.html"), page(await bundle(folder)));
}

/** Makes one script of the client and what it imports; gives its name, which has a hash of the content in it. */
async function bundle(folder) {
    const { metafile } = await build({
        entryPoints: [START],
        outdir: folder,
        entryNames: "[name]-[hash]",
        bundle: true,
        format: "esm",
        minify: true,
        metafile: true,
        logLevel: "error",
        // What Olm would ask for if it ran in Node.
        external: ["crypto", "fs", "path"],
    });
    return basename(Object.keys(metafile.outputs)[0]);
}

function page(script) {
    return `<!doctype html>
<html>
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Hydrogen</title>
    <link rel="stylesheet" href="assets/theme-element-light.css">
  </head>
  <body class="hydrogen">
    <script type="module" src="${script}"></script>
  </body>
</html>
`;
}

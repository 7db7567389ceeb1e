// Place third-party files into static/vendor (git-ignored; shipped in the wheel and the packages).
//
//   node web/assets.mjs        does nothing when what lies there is already what the lock names
//
// Written: htmx.min.js (htmx and its ptag extension), uplot.min.js, uplot.min.css,
// inter-<version>.woff2, icons.svg (one symbol per icon, id "i-<name>"), LICENSES.txt.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HOME = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HOME, "node_modules");
const VENDOR = join(HOME, "static", "vendor");
const STAMP = join(VENDOR, "stamp.txt");

const ICONS = `
  activity alert-octagon alert-triangle apps arrow-left arrow-right bell bolt book box building
  check chevron-down chevron-right circle-check circle-dashed circle-x clock code copy cpu
  credit-card database device-desktop download external-link file-text filter history home
  hourglass info-circle key link lock logout mail map-pin menu-2 moon network player-stop
  plug-connected plus point progress receipt-dollar refresh rocket search send server settings
  shield-check shield-exclamation shield-x sun table-export tag temperature terminal-2 trash user
  users wifi-off world x
`.trim().split(/\s+/);

const PACKAGES = ["htmx.org", "uplot", "@fontsource-variable/inter", "@tabler/icons"];

function read(...parts) {
  return readFileSync(join(MODULES, ...parts), "utf8");
}

function versionOf(name) {
  return JSON.parse(readFileSync(join(HOME, "package.json"), "utf8")).dependencies[name];
}

/** What the placed files depend on: the lock and this script. */
function wanted() {
  const hash = createHash("sha256");
  for (const file of ["package-lock.json", "assets.mjs"]) hash.update(readFileSync(join(HOME, file)));
  return hash.digest("hex");
}

function install() {
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: HOME,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function sprite() {
  const symbols = ICONS.map((name) => {
    const drawing = read("@tabler", "icons", "icons", "outline", `${name}.svg`);
    const paths = [...drawing.matchAll(/<path\b[^>]*>/g)]
      .map(([path]) => path.replace(/\s*\/?>$/, "/>"))
      .filter((path) => !path.includes('stroke="none"'));
    return `<symbol id="i-${name}" viewBox="0 0 24 24">${paths.join("")}</symbol>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("\n")}</svg>\n`;
}

function licenses() {
  return PACKAGES.map((name) => `${name} ${versionOf(name)}\n\n${read(...name.split("/"), "LICENSE")}`)
    .join("\n\n");
}

function withoutSourceMap(script) {
  return script.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
}

/** Every placed file by name. */
function files() {
  const htmx = read("htmx.org", "dist", "htmx.min.js");
  const ptag = read("htmx.org", "dist", "ext", "hx-ptag.min.js");
  const font = join(MODULES, "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2");
  return {
    "htmx.min.js": withoutSourceMap(htmx) + withoutSourceMap(ptag),
    "uplot.min.js": read("uplot", "dist", "uPlot.iife.min.js"),
    "uplot.min.css": read("uplot", "dist", "uPlot.min.css"),
    [`inter-${versionOf("@fontsource-variable/inter")}.woff2`]: readFileSync(font),
    "icons.svg": sprite(),
    "LICENSES.txt": licenses(),
  };
}

function isPlaced(stamp) {
  if (!existsSync(STAMP)) return false;
  const [known, ...names] = readFileSync(STAMP, "utf8").trim().split("\n");
  return known === stamp && names.every((name) => existsSync(join(VENDOR, name)));
}

const stamp = wanted();
if (isPlaced(stamp)) {
  console.log("web assets: up to date");
} else {
  install();
  const fresh = `${VENDOR}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const placed = files();
  for (const [name, content] of Object.entries(placed)) writeFileSync(join(fresh, name), content);
  writeFileSync(join(fresh, "stamp.txt"), [stamp, ...Object.keys(placed)].join("\n") + "\n");
  rmSync(VENDOR, { recursive: true, force: true });
  renameSync(fresh, VENDOR);
  console.log(`web assets: ${Object.keys(placed).length} files placed in static/vendor`);
}

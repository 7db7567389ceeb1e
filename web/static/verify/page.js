// The page "Check a statement": reads the chosen file, checks it, and shows what it found.

import { Refused, verifyStatement } from "./statement.js";

const FILE_BYTES_MAX = 64 * 1024 * 1024;
const part = (name) => document.getElementById(`verify-${name}`);

function money(micros) {
  const whole = Math.floor(micros / 1e6);
  const rest = String(micros % 1e6).padStart(6, "0").replace(/0{1,4}$/, "");
  return `$${whole.toLocaleString("en")}.${rest}`;
}

function cell(text, name = "") {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = name;
  return made;
}

function row(line) {
  const made = document.createElement("tr");
  const time = (ms) => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}Z`;
  const quantity = `${(line.cum_after - line.cum_before).toLocaleString("en")} ${line.meter}`;
  made.append(cell(line.name), cell(line.simulated ? `${line.sku} (simulated)` : line.sku), cell(time(line.begin_at_ms)), cell(time(line.end_at_ms)));
  made.append(cell(quantity, "num"), cell(money(line.charged_micros), "num"));
  return made;
}

function show(holds, verdict, detail, lines = []) {
  part("result").hidden = false;
  part("result").dataset.holds = String(holds);
  part("verdict").textContent = verdict;
  part("detail").textContent = detail;
  part("lines").replaceChildren(...lines.map(row));
}

async function check() {
  const file = part("file").files[0];
  if (!file) return;
  try {
    if (file.size > FILE_BYTES_MAX) throw new Refused("The file is larger than any statement.");
    const statement = JSON.parse(await file.text());
    const found = await verifyStatement(statement, part("key").value.trim());
    const whose = `${statement.tenant_name}, ${statement.subject}`;
    const trust = part("key").value.trim() ? "" : " The registry's key came with the file.";
    show(true, `Holds: ${money(found.total)}`, `${whose}: ${found.lines} lines, ${found.receipts} receipts, each signed by its node and by the registry.${trust}`, statement.lines);
  } catch (error) {
    const why = error instanceof Refused ? error.message : "The file is no statement.";
    show(false, "Does not hold", `${why} Do not pay by this file; ask for a new one.`);
  }
}

part("file").addEventListener("change", check);
part("key").addEventListener("change", check);

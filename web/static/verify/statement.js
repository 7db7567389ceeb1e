// Checks a statement in the reader's own browser, as protocol/statement.py does: RFC 6962 paths,
// Ed25519 by WebCrypto, C2SP notes.  Nothing here asks a server for anything.

const FORMAT = "outstation-statement/v1";
const HEADER = "c2sp.org/tlog-proof@v1";
const SKEW_MS_MAX = 300000;
const TYPE_ED25519 = 1;
const TYPE_COSIGNATURE = 4;
const PROOF_HASHES_MAX = 63;
const utf8 = new TextEncoder();

export class Refused extends Error {}

function demand(holds, why) {
  if (!holds) throw new Refused(why);
}

function joined(...parts) {
  const bytes = parts.map((part) => (typeof part === "string" ? utf8.encode(part) : Uint8Array.from(part)));
  const whole = new Uint8Array(bytes.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of bytes) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function same(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

// The one spelling of RFC 4648; two notes must not be one.
function unbase64(text) {
  let raw;
  try {
    raw = atob(text);
  } catch {
    throw new Refused("Something is not base64.");
  }
  demand(btoa(raw) === text, "Something is not base64.");
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
}

async function readKey(vkey) {
  const [name, id, ...rest] = vkey.split("+");
  const raw = unbase64(rest.join("+"));
  demand(name && raw.length === 33, "A verifier key is name+id+base64.");
  const keyId = (await sha256(name, "\n", raw)).slice(0, 4);
  const hex = [...keyId].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  demand(hex === id, "A verifier key does not match its own id.");
  const key = await crypto.subtle.importKey("raw", raw.slice(1), "Ed25519", false, ["verify"]);
  return { name, kind: raw[0], keyId, key };
}

function readNote(text) {
  const gap = text.lastIndexOf("\n\n");
  demand(gap >= 0 && text.endsWith("\n"), "A note has no signature lines.");
  const signatures = text.slice(gap + 2, -1).split("\n").map((line) => {
    const [dash, name, encoded, more] = line.split(" ");
    demand(dash === "\u2014" && name && encoded && more === undefined, "A signature line cannot be read.");
    const raw = unbase64(encoded);
    return { name, keyId: raw.slice(0, 4), signature: raw.slice(4) };
  });
  return { text: text.slice(0, gap + 1), signatures };
}

async function isSigned(signer, signature, message) {
  return crypto.subtle.verify("Ed25519", signer.key, signature, joined(message));
}

async function signedBy(note, signer) {
  const own = note.signatures.filter((line) => line.name === signer.name && same(line.keyId, signer.keyId));
  const holds = await Promise.all(own.map((line) => isSigned(signer, line.signature, note.text)));
  return own.length > 0 && holds.every(Boolean);
}

async function cosignedAt(note, witness) {
  const line = note.signatures.find((one) => one.name === witness.name && same(one.keyId, witness.keyId));
  if (!line || line.signature.length !== 72) return null;
  const at = new DataView(line.signature.buffer, line.signature.byteOffset).getBigUint64(0);
  const message = `cosignature/v1\ntime ${at}\n${note.text}`;
  return (await isSigned(witness, line.signature.slice(8), message)) ? Number(at) : null;
}

// RFC 9162 section 2.1.3.2; sizes may pass 2^32, so no bit operators.
async function rootOf(index, size, leaf, proof) {
  let node = index;
  let last = size - 1;
  let root = leaf;
  for (const sibling of proof) {
    demand(last > 0, "A path is longer than its tree is high.");
    if (node % 2 === 1 || node === last) {
      root = await sha256([1], sibling, root);
      while (node % 2 === 0 && node > 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      root = await sha256([1], root, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  demand(last === 0, "A path is shorter than its tree is high.");
  return root;
}

function readRecord(entry) {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(entry);
  const record = JSON.parse(text);
  const sorted = Object.fromEntries(Object.keys(record).sort().map((name) => [name, record[name]]));
  demand(JSON.stringify(sorted) === text, "An entry is not in the canonical form.");
  return record;
}

async function readReceipt(text, origin, logKeys, witness) {
  const gap = text.indexOf("\n\n");
  const lines = text.slice(0, gap).split("\n");
  const index = /^index (0|[1-9][0-9]{0,14})$/.exec(lines[2] ?? "");
  const whole = gap > 0 && lines[0] === HEADER && lines[1].startsWith("extra ") && index;
  demand(whole && lines.length - 3 <= PROOF_HASHES_MAX, `A receipt begins with ${HEADER}.`);
  const entry = unbase64(lines[1].slice("extra ".length));
  const note = readNote(text.slice(gap + 2));
  const [name, size, root] = note.text.split("\n");
  demand(name === origin, "A receipt is of another log.");
  demand(/^(0|[1-9][0-9]{0,14})$/.test(size), "A checkpoint has no size.");
  const at = Number(index[1]);
  demand(at < Number(size), "A receipt lies beyond its log.");
  const signed = await Promise.all(logKeys.map((key) => signedBy(note, key)));
  demand(signed.some(Boolean), "A checkpoint is not signed by its node.");
  const seenAt = await cosignedAt(note, witness);
  demand(seenAt !== null, "The registry did not cosign a checkpoint.");
  const leaf = await sha256([0], entry);
  const found = await rootOf(at, Number(size), leaf, lines.slice(3).map(unbase64));
  demand(same(found, unbase64(root)), "An entry does not lead to the signed root.");
  return { index: at, record: readRecord(entry), seenAt };
}

function charge(price, before, after) {
  const [num, den] = [BigInt(price.num), BigInt(price.den)];
  return Number((BigInt(after) * num) / den - (BigInt(before) * num) / den);
}

function checkLine(statement, line, first, last) {
  const wanted = { k: "use", alc: line.owner, m: line.meter, sku: line.sku, ten: statement.tenant_id, prj: line.project };
  for (const { record } of [first, last]) {
    for (const [name, value] of Object.entries(wanted)) {
      demand(record[name] === value, `A receipt says another ${name}.`);
    }
  }
  const [begins, ends] = [first.record.t0, last.record.t1];
  const own = begins === line.begin_at_ms && ends === line.end_at_ms && first.index <= last.index;
  demand(own, "Its receipts are of other records than it says.");
  const inside = statement.begin_at_ms - SKEW_MS_MAX <= begins && begins < ends && ends <= statement.end_at_ms + SKEW_MS_MAX;
  demand(inside, "It lies outside the period of the statement.");
  const counts = first.record.cum - first.record.q === line.cum_before && last.record.cum === line.cum_after;
  demand(counts && line.cum_before >= 0 && line.cum_before <= line.cum_after, "Its receipts prove other counts than it says.");
  const { price } = line;
  const priced = price.sku === line.sku && price.meter === line.meter && price.effective_at_ms <= begins + SKEW_MS_MAX;
  demand(priced && price.den >= 1, "Its price is of something else, or not yet in force.");
  const rated = charge(price, line.cum_before, line.cum_after);
  demand(line.charged_micros >= 0 && line.unbilled_micros >= 0, "It has a negative amount.");
  demand(line.charged_micros + line.unbilled_micros === rated, `By its price it comes to ${rated} micros.`);
}

function checkStreams(lines) {
  const ends = new Map();
  for (const line of [...lines].sort((one, other) => one.begin_at_ms - other.begin_at_ms)) {
    const stream = JSON.stringify([line.origin, line.owner, line.meter, line.sku]);
    const before = ends.get(stream);
    const follows = !before || (line.cum_before === before.cum_after && line.begin_at_ms >= before.end_at_ms);
    demand(follows, `Two lines of ${line.name} do not follow each other.`);
    ends.set(stream, line);
  }
}

/** Check every receipt, sum and the total of a statement; throw Refused with a sentence if one fails. */
export async function verifyStatement(statement, knownKey = "") {
  demand(statement?.format === FORMAT && Array.isArray(statement.lines), `This is no ${FORMAT}.`);
  const witness = await readKey(knownKey || statement.witness_vkey);
  demand(witness.kind === TYPE_COSIGNATURE, "The registry's key is of another kind.");
  const keys = new Map();
  for (const log of statement.logs) {
    const read = await Promise.all(log.vkeys.map(readKey));
    keys.set(log.origin, read.filter((key) => key.kind === TYPE_ED25519));
  }
  const unsigned = JSON.stringify({ ...statement, signature: "" });
  const own = await isSigned(witness, unbase64(statement.signature), `${FORMAT}\n${unsigned}`);
  demand(own, "The registry did not sign this very statement.");
  let total = 0;
  for (const [at, line] of statement.lines.entries()) {
    try {
      demand(keys.has(line.origin), `No key of the log ${line.origin} is given.`);
      const proofs = [line.first, line.last].map((text) => readReceipt(text, line.origin, keys.get(line.origin), witness));
      checkLine(statement, line, ...(await Promise.all(proofs)));
    } catch (error) {
      const why = error instanceof Refused ? error.message : "It cannot be read.";
      throw new Refused(`Line ${at + 1} (${line.name}): ${why}`);
    }
    total += line.charged_micros;
  }
  checkStreams(statement.lines);
  demand(total === statement.total_micros, "The lines do not sum to the total.");
  return { lines: statement.lines.length, receipts: 2 * statement.lines.length, total };
}

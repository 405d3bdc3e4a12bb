// What an official TypeScript client sees of a server, as JSON: run directly
// and through the gateway, the two must not differ but for the prices.
//
// usage: node record.mjs LINE PLAN TARGET
//   LINE    v1, v2 (as it is by default) or v2auto (asks for the newest revision)
//   PLAN    file with what to do: {"steps": [...]}, see steps.mjs
//   TARGET  {"url", "headers"} or {"command", "args", "cwd"} as JSON
import { readFileSync } from "node:fs";
import { connect } from "./connect.mjs";
import { does } from "./steps.mjs";

const [line, plan, target] = process.argv.slice(2);
const { steps } = JSON.parse(readFileSync(plan, "utf8"));
const seen = { steps: [], answers: {}, heard: {} };

// On the wire: every answer by the client's own id, everything else by method.
function wire(m) {
  if (m.method) (seen.heard[m.method] ??= []).push(m.params ?? null);
  else seen.answers[m.id] = m.error ? { error: m.error } : { result: m.result };
}

const client = await connect(line, JSON.parse(target), wire);
const heard = (method) => (seen.heard[method] ?? []).length;
// What the revision 2026-07-28 has no request for; its own equivalents are done
// by the steps that remain.
const gone = line === "v2auto" ? ["wait", "ping", "level", "subscribe", "unsubscribe", "rootsChanged", "task", "raw"] : [];
for (const step of steps) {
  const [what] = Object.keys(step);
  if (gone.includes(what) || (step.old && line === "v2auto")) continue;
  const record = { [what]: step[what] };
  seen.steps.push(record);
  try {
    record.gave = (await does[what](client, step[what], heard)) ?? null;
  } catch (e) {
    record.failed = { code: e.code, message: e.message, data: e.data };
  }
}
await client.close();
process.stdout.write(JSON.stringify(seen));

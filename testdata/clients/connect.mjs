// The two lines of the official TypeScript SDK behind one face.
import * as v1 from "@modelcontextprotocol/sdk/client/index.js";
import * as v1http from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as v1stdio from "@modelcontextprotocol/sdk/client/stdio.js";
import * as v1types from "@modelcontextprotocol/sdk/types.js";
import * as v2 from "@modelcontextprotocol/client";
import * as v2stdio from "@modelcontextprotocol/client/stdio";

const info = { name: "recorder", version: "1" };
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };
const handlers = {
  "sampling/createMessage": async () => ({ model: "m", role: "assistant", stopReason: "endTurn", content: { type: "text", text: "sampled é🙂" } }),
  "elicitation/create": async (r) =>
    r.params.mode === "url" || r.params.message.includes("decline") ? { action: "decline" } : { action: "accept", content: values(r.params.requestedSchema) },
  "roots/list": async () => ({ roots: [{ uri: "file:///tmp/one", name: "one" }, { uri: "file:///tmp/two%20é", name: "two" }] }),
};

// values fills a form: what a schema requires, each by its type.
function values(schema) {
  const out = {};
  for (const name of schema?.required ?? Object.keys(schema?.properties ?? {}).slice(0, 1)) {
    const p = schema.properties[name];
    out[name] = p.const ?? p.default ?? p.enum?.[0] ?? p.oneOf?.[0]?.const ?? { boolean: true, number: 7, integer: 7, array: [] }[p.type] ?? "Ada";
  }
  return out;
}

export async function connect(line, target, wire) {
  const old = line === "v1";
  const client = old
    ? new v1.Client(info, { capabilities })
    : new v2.Client(info, { capabilities, ...(line === "v2auto" ? { versionNegotiation: { mode: "auto" } } : {}) });
  const schema = { "sampling/createMessage": v1types.CreateMessageRequestSchema, "elicitation/create": v1types.ElicitRequestSchema, "roots/list": v1types.ListRootsRequestSchema };
  for (const [method, handle] of Object.entries(handlers)) client.setRequestHandler(old ? schema[method] : method, handle);
  const Stdio = old ? v1stdio.StdioClientTransport : v2stdio.StdioClientTransport;
  const Http = old ? v1http.StreamableHTTPClientTransport : v2.StreamableHTTPClientTransport;
  const transport = target.url
    ? new Http(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
    : new Stdio({ command: target.command, args: target.args ?? [], cwd: target.cwd, env: { ...process.env, ...target.env }, stderr: "ignore" });
  let handler;
  Object.defineProperty(transport, "onmessage", { get: () => handler && ((m, extra) => (wire(m), handler(m, extra))), set: (f) => (handler = f) });
  await client.connect(transport);
  client.line = line;
  client.raw = (method, params) => (old ? client.request({ method, params }, v1types.ResultSchema) : client.request({ method, params }, any));
  return client;
}

// any takes a result as it is.
const any = { "~standard": { version: 1, vendor: "recorder", validate: (value) => ({ value }) } };

// The official TypeScript client (v1 line) does with a server what people do
// with it. usage: node v1.mjs URL API_KEY; without a key it must be refused.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema, CreateMessageRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import assert from "node:assert";

const [url, key] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1" }, { capabilities: { elicitation: {}, sampling: {}, roots: { listChanged: true } } });
client.setRequestHandler(CreateMessageRequestSchema, async () => ({ model: "m", role: "assistant", content: { type: "text", text: "sampled" } }));
client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "decline" }));
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { "X-API-Key": key } } }));

const { tools } = await client.listTools();
assert(tools.length > 5, `only ${tools.length} tools`);
const name = tools.find((t) => t.name === "echo").name;
const many = await Promise.all(Array.from({ length: 40 }, (_, i) => client.callTool({ name, arguments: { message: `hello ${i} é研究🙂` } })));
many.forEach((r, i) => assert(r.content[0].text.includes(`hello ${i} é研究🙂`), `answer ${i} is another's`));

const long = tools.find((t) => /long/i.test(t.name));
if (long) {
  let progress = 0;
  await client.callTool({ name: long.name, arguments: { duration: 1, steps: 4 } }, undefined, { onprogress: () => progress++ });
  assert(progress > 0, "no progress came");
}
const { resources } = await client.listResources();
assert(resources.length > 0, "no resources");
await client.readResource({ uri: resources[0].uri });
const { prompts } = await client.listPrompts();
assert(prompts.length > 0, "no prompts");
await client.close();
console.log(JSON.stringify({ calls: 40 + (long ? 1 : 0) }));

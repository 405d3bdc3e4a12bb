// What a client can do. A step is an object with one member: its name here and
// what it takes; "old" beside it says that it ends otherwise since 2026-07-28.
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function pages(list, member) {
  const all = [];
  let cursor, n = 0;
  do {
    const page = await list(cursor ? { cursor } : {});
    all.push(...page[member]);
    cursor = page.nextCursor;
    n++;
  } while (cursor);
  return { n, all };
}

// odd are texts that a careless proxy changes.
const odd = ["", " ", "\u0000\u0001\u001f\u007f", "\u2028\u2029\ufeff", "é e\u0301 ﷽ שלום 研究 🙂👩‍👩‍👧‍👦", "\ud83d", "\udc00x", '"\\/<>&\'</script>', "{\"a\":1}\n\r\t\n", "data: x\n\nevent: y\n\n", "x".repeat(70000), "🙂".repeat(20000)];

export const does = {
  about: async (c) => ({ server: c.getServerVersion(), capabilities: c.getServerCapabilities(), instructions: c.getInstructions() }),
  ping: (c) => c.ping(),
  tools: (c) => pages((p) => c.listTools(p), "tools"),
  resources: (c) => pages((p) => c.listResources(p), "resources"),
  templates: (c) => pages((p) => c.listResourceTemplates(p), "resourceTemplates"),
  prompts: (c) => pages((p) => c.listPrompts(p), "prompts"),
  read: (c, uri) => c.readResource({ uri }),
  prompt: (c, params) => c.getPrompt(params),
  complete: (c, params) => c.complete(params),
  level: (c, level) => c.setLoggingLevel(level),
  call: (c, params) => tool(c, params),
  raw: (c, { method, params }) => c.raw(method, params),
  subscribe: (c, uri) => c.subscribeResource({ uri }),
  unsubscribe: (c, uri) => c.unsubscribeResource({ uri }),
  rootsChanged: (c) => c.sendRootsListChanged(),

  // progress calls a tool and tells what came while it ran. The last notification
  // may reach the SDK together with the answer, which then drops it; how often
  // each came is seen on the wire.
  progress: async (c, params) => {
    const came = new Set();
    const result = await tool(c, params, { onprogress: (p) => p.progress === p.total || came.add(JSON.stringify(p)) });
    return { came: [...came], result };
  },
  // cancel gives a call up when its first progress is there.
  cancel: async (c, params) => {
    const stop = new AbortController();
    return tool(c, params, { signal: stop.signal, onprogress: () => stop.abort("enough") });
  },
  // many calls one tool often at once, and never mixes the answers up.
  many: async (c, { n, name, argument, args }) =>
    Promise.all(Array.from({ length: n }, (_, i) => tool(c, { name, arguments: { ...args, [argument]: `number ${i} é研究🙂` } }))),
  // odd sends odd texts and gets them back.
  odd: async (c, { name, argument }) => {
    const out = [];
    for (const text of odd) out.push(await tool(c, { name, arguments: { [argument]: text } }));
    return out;
  },
  // big sends and gets a long text; what came is told by its length and end.
  big: async (c, { name, argument, bytes }) => {
    const text = (await tool(c, { name, arguments: { [argument]: "0123456789abcdé".repeat(bytes / 16) } })).content[0].text;
    return { length: text.length, end: text.slice(-20) };
  },
  // wait waits until a message of this method has been heard n times.
  wait: async (c, { method, n }, heard) => {
    for (const end = Date.now() + 40000; heard(method) < n; await sleep(10)) if (Date.now() > end) throw new Error(`${method} came ${heard(method)} times, not ${n}`);
  },
  // task runs a tool as a task of revision 2025-11-25, to its end; the second
  // line of the SDK has no such tasks.
  task: async (c, params) => {
    if (!c.experimental) return;
    for await (const m of c.experimental.tasks.callToolStream(params, undefined, { task: { ttl: 60000 } })) {
      if (m.type === "result") return m.result;
      if (m.type === "error") throw m.error;
    }
  },
};

// tool calls a tool; the two lines of the SDK take options at other places.
function tool(c, params, options) {
  return c.line === "v1" ? c.callTool(params, undefined, options) : c.callTool(params, options);
}

// Asks a served model over REST, with Node 18 or newer or in a browser. No packages are needed.
//
//   node ask.mjs http://localhost:8501 tagger "Anna lives in Zürich."

/** Sends inputs to a signature and returns its outputs. */
export async function predict(url, model, inputs, signature = "serving_default") {
  const reply = await fetch(`${url}/v1/models/${encodeURIComponent(model)}:predict`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ signature_name: signature, inputs }),
  });
  const body = await reply.json();
  if (!reply.ok) throw new Error(`HTTP ${reply.status}: ${body.error}`);
  return body.outputs;
}

/** Returns a function from an offset in UTF-8 bytes to an offset in the string, which counts UTF-16 units. */
export function offsetsOf(text) {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return (offset) => decoder.decode(bytes.subarray(0, offset)).length;
}

/** Returns the entities in a text. */
export async function findEntities(url, model, text) {
  const outputs = await predict(url, model, { text: [text] });
  const toString = offsetsOf(text);
  const entities = [];
  for (let i = 0; i < outputs.entity_count[0]; i++) {
    const start = toString(outputs.starts[0][i]);
    const end = toString(outputs.ends[0][i]);
    entities.push({ label: outputs.labels[0][i], start, end, text: text.slice(start, end) });
  }
  return entities;
}

if (typeof process !== "undefined" && process.argv[1]?.endsWith("ask.mjs")) {
  const [url, model, text] = process.argv.slice(2);
  for (const entity of await findEntities(url, model, text)) console.log(JSON.stringify(entity));
}

// Where results go: to the falcon-edge serve that this page came from, to a file, to other apps of the device.
import { Message } from "./message.js";

/** Whether the page came from falcon-edge serve, which waits for results. */
export const awaited = () => new URLSearchParams(location.search).has("send");

/** Send results back; what the other side did with them, in words. */
export async function send(results) {
  let response;
  try {
    response = await fetch("results", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(results),
    });
  } catch {
    throw new Message("the results cannot be sent: falcon-edge serve does not answer; save them instead");
  }
  const said = (await response.text()).trim();
  if (!response.ok) throw new Message(`the results were refused: ${said || response.status}`);
  return said;
}

/** Save results as a file of the device. */
export function save(results) {
  const text = JSON.stringify(results, null, 1);
  const name = `results-${results.created.replace(/[^0-9]/g, "").slice(0, 14)}.json`;
  if (globalThis.falconHost?.save) return globalThis.falconHost.save(name, text);
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  return name;
}

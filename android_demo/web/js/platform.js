// What this browser is and offers here, and what to do about what it does not.

/** Threads of WebAssembly need shared memory, which browsers give to isolated pages alone. */
export const threadsOffered = () => (globalThis.crossOriginIsolated ? Math.max(1, navigator.hardwareConcurrency || 1) : 1);
export const cameraOffered = () => Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia);
/** Whether the page is inside of our app, which brings its files itself. */
export const wrapped = () => "falconHost" in globalThis;

/** What is missing here and why: sentences. */
export function limits() {
  const found = [];
  if (!globalThis.isSecureContext) {
    found.push(
      "This page came over plain HTTP. Browsers then give no camera, no use offline and one thread only: pick images, " +
        "or open it by HTTPS or from this device itself (localhost).",
    );
  } else {
    if (!cameraOffered()) found.push("This browser offers no camera: pick images.");
    if (!globalThis.crossOriginIsolated) {
      const again = "serviceWorker" in navigator ? " Once it is kept for use offline, it is: load it again." : "";
      found.push(`The server does not isolate the page (COOP and COEP), so that there is one thread only.${again}`);
    }
  }
  return found;
}

/** The smallest step of the clock in milliseconds, as far as a few steps show it. */
export function clockStep(clock = () => performance.now()) {
  let smallest = Infinity;
  for (let steps = 0; steps < 20; steps++) {
    const start = clock();
    let now = start;
    while (now === start) now = clock();
    smallest = Math.min(smallest, now - start);
  }
  return smallest;
}

// How browsers call themselves, those first that also say another's name.
const BROWSERS = [
  ["Firefox", "Firefox"],
  ["Edg[A-Za-z]*", "Edge"],
  ["OPR", "Opera"],
  ["SamsungBrowser", "Samsung Internet"],
  ["Chrome", "Chrome"],
  ["Version", "Safari"],
];

/** The browser's name with its version, the device's, and the system's, as far as they are told. */
export async function describe() {
  const agent = navigator.userAgent;
  const told = { browser: "unknown browser" };
  for (const [mark, name] of BROWSERS) {
    const found = new RegExp(`${mark}/([0-9.]+)`).exec(agent);
    if (found) {
      told.browser = `${name} ${found[1]}`;
      break;
    }
  }
  let hints = {};
  try {
    hints = (await navigator.userAgentData?.getHighEntropyValues(["model", "platformVersion", "architecture"])) ?? {};
  } catch {
    // it need not tell
  }
  const system = /\(([^)]*)\)/.exec(agent)?.[1] ?? "unknown system";
  told.system = hints.platform ? `${hints.platform} ${hints.platformVersion ?? ""}`.trim() : system;
  told.device = hints.model || told.system;
  told.architecture = hints.architecture || "";
  return told;
}

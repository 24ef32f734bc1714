// Keeps the page and its models for use offline. Online the network comes first, so that what is new is seen at once.
// What of the libraries only other browsers take is kept when it is used. The page is isolated where the server does not
// do so, for the threads of WebAssembly.
const STORE = "falcon-edge";
const FILES = [
  "./",
  "icon.svg",
  "js/apart.js",
  "js/app.js",
  "js/benchmark.js",
  "js/camera.js",
  "js/checks.js",
  "js/delivery.js",
  "js/engines/engines.js",
  "js/engines/litert.js",
  "js/engines/onnxruntime.js",
  "js/images.js",
  "js/inference.js",
  "js/manifest.js",
  "js/message.js",
  "js/models.js",
  "js/opened.js",
  "js/outputs.js",
  "js/pixels.js",
  "js/platform.js",
  "js/quantization.js",
  "js/results.js",
  "js/screens/about.js",
  "js/screens/answers.js",
  "js/screens/benchmark.js",
  "js/screens/classify.js",
  "js/screens/elements.js",
  "js/screens/selftest.js",
  "js/selftest.js",
  "js/sha256.js",
  "js/statistics.js",
  "js/work.js",
  "js/worker.js",
  "manifest.webmanifest",
  "style.css",
  "vendor/litertjs-core/index.js",
  "vendor/litertjs-core/package.json",
  "vendor/litertjs-core/wasm/litert_wasm_threaded_internal.js",
  "vendor/litertjs-core/wasm/litert_wasm_threaded_internal.wasm",
  "vendor/litertjs-wasm-utils/index.js",
  "vendor/litertjs-wasm-utils/package.json",
  "vendor/onnxruntime-web/ort-wasm-simd-threaded.mjs",
  "vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm",
  "vendor/onnxruntime-web/ort.wasm.min.mjs",
  "vendor/onnxruntime-web/package.json",
];
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});

/** Keep the page's files and those of all models. */
async function install() {
  const store = await caches.open(STORE);
  await store.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
  const index = await fetch("models/index.json", { cache: "reload" });
  if (index.ok) {
    const { models } = await index.clone().json();
    await store.put("models/index.json", index);
    const files = models.flatMap(({ folder, files }) => Object.keys(files).map((file) => `models/${folder}/${file}`));
    await store.addAll(files.map((file) => new Request(file, { cache: "reload" })));
  }
  await self.skipWaiting();
}

async function answer(request) {
  const store = await caches.open(STORE);
  try {
    const response = await fetch(request);
    if (response.ok) await store.put(address(request), response.clone());
    return isolated(response);
  } catch {
    const kept = await store.match(address(request));
    return kept ? isolated(kept) : Response.error();
  }
}

/** What a file is kept under: its address without what follows a question mark. */
const address = (request) => request.url.replace(/[?#].*$/, "");

/** An answer as an isolated page and its workers need it. */
function isolated(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

// Runs models apart from the page, which can be used meanwhile: the tasks of work.js, asked by apart.js. It is a classic
// worker: LiteRT's program is loaded by importScripts, which modules have not.
"use strict";

const tasks = import("./work.js").then(({ TASKS }) => TASKS);
const texts = import("./message.js");

self.onmessage = async ({ data: { id, task, given } }) => {
  const { Message, told } = await texts;
  try {
    const found = await (await tasks)[task](given, (share, text) => self.postMessage({ id, share, text }));
    self.postMessage({ id, found });
  } catch (error) {
    const kind = error instanceof Message ? "message" : error.constructor.name === "Cancelled" ? "cancelled" : "unexpected";
    self.postMessage({ id, kind, error: kind === "message" ? told(error) : String(error?.message ?? error) });
  }
};
Promise.all([tasks, texts]).then(
  () => self.postMessage({ ready: true }),
  () => self.postMessage({ ready: false }),
);

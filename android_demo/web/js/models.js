// The models that falcon-edge embed put beside this page: models/index.json and the files that it lists.
import * as check from "./checks.js";
import { readManifest } from "./manifest.js";
import { Message } from "./message.js";
import { sha256 } from "./sha256.js";

export const VERSION = 1;
const LARGEST_DOCUMENT = 16 * 2 ** 20;
const LARGEST_MODEL = 2 ** 30;
const FOLDER = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** The models by the index in a folder (an address that ends in a slash); those that cannot be read have a `problem`. */
export async function readModels(folder) {
  const place = "models/index.json";
  const bytes = await fetched(new URL("index.json", folder), place, LARGEST_DOCUMENT);
  if (bytes === null) return [];
  const index = check.version(check.parsed(new TextDecoder().decode(bytes), place), place, VERSION);
  const models = check.list(index.models, `${place}: models`, 1000).map((each) => new Model(each, folder, place));
  await Promise.all(models.map((model) => model.open()));
  return models;
}

/** A model: its manifest, and its files, whose size and hash are compared before anything is made of them. */
export class Model {
  constructor(entry, folder, place) {
    check.object(entry, `${place}: models`);
    this.folder = check.text(entry.folder, `${place}: folder`);
    if (!FOLDER.test(this.folder)) throw new Message(`${place}: ${JSON.stringify(this.folder)} is no folder of a model`);
    this.address = new URL(`${this.folder}/`, folder);
    this.files = new Map();
    for (const [name, file] of Object.entries(check.object(entry.files, `${place}: files`))) {
      check.object(file, `${place}: files`);
      this.files.set(check.inside(name, `${place}: files`), {
        bytes: check.whole(file.bytes, `${place}: ${name}: bytes`, 0, LARGEST_MODEL),
        sha256: check.text(file.sha256, `${place}: ${name}: sha256`),
      });
    }
    this.manifest = null;
    this.problem = null;
  }

  /** Read the manifest; what is wrong with it is the `problem` of this model alone. */
  async open() {
    try {
      const text = new TextDecoder().decode(await this.bytes("manifest.json"));
      this.manifest = readManifest(text, `${this.folder}/manifest.json`);
    } catch (error) {
      if (!(error instanceof Message)) throw error;
      this.problem = error.message;
    }
  }

  /** The bytes of a file (Uint8Array). */
  async bytes(name) {
    const place = `${this.folder}/${name}`;
    const listed = this.files.get(name);
    if (listed === undefined) throw new Message(`${place}: is not embedded; embed the model again with this file`);
    const bytes = await fetched(new URL(name, this.address), place, listed.bytes);
    if (bytes === null) throw new Message(`${place}: is not there; embed the model again`);
    if (bytes.length !== listed.bytes) {
      throw new Message(`${place}: has ${bytes.length} bytes of ${listed.bytes}; embed the model again`);
    }
    if ((await sha256(bytes)) !== listed.sha256) throw new Message(`${place}: is damaged; embed the model again`);
    return bytes;
  }
}

/** The bytes at an address, at most `limit`; null where there is nothing. */
async function fetched(address, place, limit) {
  let response;
  try {
    response = await fetch(address);
  } catch {
    throw new Message(`${place}: cannot be fetched; is the server there?`);
  }
  if (response.status === 404) return null;
  if (!response.ok) throw new Message(`${place}: the server answers ${response.status}`);
  try {
    const chunks = [];
    let count = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      count += value.length;
      if (count > limit) {
        await reader.cancel();
        throw new Message(`${place}: has more than ${limit} bytes; embed the model again`);
      }
      chunks.push(value);
    }
    return joined(chunks, count);
  } catch (error) {
    if (error instanceof Message) throw error;
    throw new Message(`${place}: was cut off; try again`);
  }
}

function joined(chunks, count) {
  const bytes = new Uint8Array(count);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

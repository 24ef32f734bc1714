// SHA-256, also where the browser has none of its own: over plain HTTP there is no crypto.subtle.

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The SHA-256 of bytes (Uint8Array), in hexadecimal digits. */
export async function sha256(bytes) {
  if (globalThis.crypto?.subtle) return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  return plainSha256(bytes);
}

/** The same, by FIPS 180-4. */
export function plainSha256(bytes) {
  const state = Int32Array.from(INITIAL);
  const whole = bytes.length - (bytes.length % 64);
  const rest = new Uint8Array(bytes.length % 64 < 56 ? 64 : 128);
  rest.set(bytes.subarray(whole));
  rest[bytes.length % 64] = 0x80;
  const tail = new DataView(rest.buffer);
  tail.setUint32(rest.length - 8, Math.floor(bytes.length / 2 ** 29));
  tail.setUint32(rest.length - 4, (bytes.length * 8) >>> 0);
  compress(state, new DataView(bytes.buffer, bytes.byteOffset, whole));
  compress(state, tail);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setInt32(4 * index, word));
  return hex(new Uint8Array(digest.buffer));
}

/** The first 32 bits behind the point of a root of the first `count` primes. */
function roots(count, root) {
  const primes = [];
  for (let number = 2; primes.length < count; number++) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes.map((prime) => Math.floor((root(prime) % 1) * 2 ** 32) | 0);
}

const INITIAL = roots(8, Math.sqrt);
const ROUNDS = Int32Array.from(roots(64, Math.cbrt));
const words = new Int32Array(64);
const turn = (word, bits) => (word >>> bits) | (word << (32 - bits));

/** Take whole blocks of 64 bytes into the state. */
function compress(state, blocks) {
  for (let start = 0; start < blocks.byteLength; start += 64) {
    for (let index = 0; index < 16; index++) words[index] = blocks.getInt32(start + 4 * index);
    for (let index = 16; index < 64; index++) {
      const one = words[index - 15];
      const other = words[index - 2];
      const first = turn(one, 7) ^ turn(one, 18) ^ (one >>> 3);
      const second = turn(other, 17) ^ turn(other, 19) ^ (other >>> 10);
      words[index] = words[index - 16] + first + words[index - 7] + second;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let index = 0; index < 64; index++) {
      const sum = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const one = (h + sum + ((e & f) ^ (~e & g)) + ROUNDS[index] + words[index]) | 0;
      const other = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + other) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] += word));
  }
}

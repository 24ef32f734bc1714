// Errors that people read: one line that says what is wrong, where, and what to do.
export class Message extends Error {}

/** What a person is told of an error, whatever it is: one line. */
export function told(error) {
  const text = error instanceof Message ? error.message : `something unexpected: ${error?.message ?? error}`;
  return text.split(/\s+/).join(" ").trim().slice(0, 500);
}

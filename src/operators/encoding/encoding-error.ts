/**
 * What has no encoding: a function, a class's instance, a text that is no Unicode. It is thrown, not answered, for it
 * arises below a user's callback, in a `put`; the task catches it there and answers it as a poison record.
 */
export class EncodingError extends Error {
  override readonly name = "EncodingError";
}

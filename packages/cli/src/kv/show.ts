// Bytes on a terminal and in JSON: text where they are text, base64 where they are not.

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of bytes that are UTF-8; undefined otherwise. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

/** A field of JSON output: `name`, or `nameBase64` when the bytes are not UTF-8. */
export function jsonField(name: string, bytes: Uint8Array | undefined): Record<string, string | null> {
  if (bytes === undefined) return { [name]: null }
  const text = textOf(bytes)
  return text === undefined ? { [`${name}Base64`]: Buffer.from(bytes).toString('base64') } : { [name]: text }
}

/** A name on one line: control characters and bytes that are not UTF-8 escaped. */
export function shownName(bytes: Uint8Array): string {
  const text = textOf(bytes) ?? Buffer.from(bytes).toString('latin1')
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

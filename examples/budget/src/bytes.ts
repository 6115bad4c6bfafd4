// Conversion between bytes and JSON values. QuickJS has no TextEncoder; this old pair of functions does the same.

declare function escape(text: string): string;
declare function unescape(text: string): string;

export function write(value: unknown): Uint8Array {
  const latin = unescape(encodeURIComponent(JSON.stringify(value)));
  return Uint8Array.from(latin, (letter) => letter.charCodeAt(0));
}

export function read(bytes: Uint8Array): unknown {
  const pieces: string[] = [];
  // In pieces, because a call takes only a limited number of arguments.
  for (let at = 0; at < bytes.length; at += 4096) {
    pieces.push(String.fromCharCode(...bytes.subarray(at, at + 4096)));
  }
  return JSON.parse(decodeURIComponent(escape(pieces.join(""))));
}

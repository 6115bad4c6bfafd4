//! Components that are others by their digest: the same code, or code that says something else.

use anyhow::{Result, ensure};

/// The same code with a note in it, so that it is another component.
#[must_use]
pub fn variant(wasm: &[u8], note: &str) -> Vec<u8> {
    let name = b"note";
    let mut content = vec![name.len() as u8];
    content.extend_from_slice(name);
    content.extend_from_slice(note.as_bytes());
    let mut variant = wasm.to_vec();
    // A custom section: its id, its length, and what nobody reads.
    variant.push(0);
    let mut length = content.len();
    while length >= 0x80 {
        variant.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    variant.push(length as u8);
    variant.extend(content);
    variant
}

/// The code with another text in the place of one that it says once, of the same length.
pub fn reworded(wasm: &[u8], text: &str, other: &str) -> Result<Vec<u8>> {
    ensure!(text.len() == other.len(), "`{text}` and `{other}` are not of the same length");
    let found: Vec<usize> = wasm
        .windows(text.len())
        .enumerate()
        .filter_map(|(place, window)| (window == text.as_bytes()).then_some(place))
        .collect();
    let [place] = found[..] else { anyhow::bail!("`{text}` stands {} times in the component", found.len()) };
    let mut reworded = wasm.to_vec();
    reworded[place..place + text.len()].copy_from_slice(other.as_bytes());
    Ok(reworded)
}

//! Variants of built components: the same code under another digest, code with another text, and a projector made to
//! order.

use anyhow::{Context, Result, bail, ensure};

use crate::Environment;
use crate::broken::{encode, resolve};

/// Makes the same component under another digest, by a section that nothing reads.
pub fn variant(wasm: &[u8], text: &str) -> Result<Vec<u8>> {
    const NAME: &str = "variant";
    let content = [&[7], NAME.as_bytes(), text.as_bytes()].concat();
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80);
    let length = length.with_context(|| format!("`{text}` is too long for a length of one byte"))?;
    Ok([wasm, &[0, length], &content].concat())
}

/// Replaces a text that occurs once in the code by another of the same length.
pub fn reworded(wasm: &[u8], text: &str, other: &str) -> Result<Vec<u8>> {
    ensure!(text.len() == other.len(), "`{text}` and `{other}` are not of the same length");
    let found: Vec<usize> = wasm
        .windows(text.len())
        .enumerate()
        .filter_map(|(place, window)| (window == text.as_bytes()).then_some(place))
        .collect();
    let [place] = found[..] else { bail!("`{text}` stands {} times in the component", found.len()) };
    let mut reworded = wasm.to_vec();
    reworded[place..place + text.len()].copy_from_slice(other.as_bytes());
    Ok(reworded)
}

/// Projector that writes a row for every event: `noting.event (partition, position, mark)`, and the columns of
/// `more`.
#[derive(Debug, Clone, Copy)]
pub struct Noting<'a> {
    pub version: u32,
    /// Content of the third column of every row.
    pub mark: &'a str,
    /// Name of the third column.
    pub column: &'a str,
    /// Adds a fourth column, of text.
    pub more: Option<&'a str>,
    /// Position, in any partition, at which it traps.
    pub traps_at: u64,
}

impl Default for Noting<'_> {
    fn default() -> Self {
        Self { version: 1, mark: "one", column: "mark", more: None, traps_at: 0 }
    }
}

/// Memory of the component before it runs.
struct Memory(Vec<u8>);

impl Memory {
    const AT: u32 = 1024;

    /// Adds bytes, and returns their address.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = Self::AT + u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(bytes);
        at
    }

    /// Reference to a list or a text: its address and its length.
    fn list(&mut self, bytes: &[u8], length: usize) -> [u8; 8] {
        let (at, length) = (self.put(bytes), u32::try_from(length).unwrap_or(u32::MAX));
        let mut list = [0; 8];
        list[..4].copy_from_slice(&at.to_le_bytes());
        list[4..].copy_from_slice(&length.to_le_bytes());
        list
    }

    fn text(&mut self, text: &str) -> [u8; 8] {
        self.list(text.as_bytes(), text.len())
    }

    /// Column: name, type, not null, no rule.
    fn column(&mut self, name: &str, kind: u8) -> Vec<u8> {
        [&self.text(name)[..], &[kind, 0, 0, 0], &[0; 16]].concat()
    }
}

impl Noting<'_> {
    /// Builds the component.
    pub fn component(&self, environment: &Environment) -> Result<Vec<u8>> {
        const TEXT: u8 = 0;
        const INTEGER: u8 = 1;
        let mut memory = Memory(Vec::new());
        let mut columns = [memory.column("partition", INTEGER), memory.column("position", INTEGER)].concat();
        columns.extend(memory.column(self.column, TEXT));
        columns.extend(self.more.iter().flat_map(|more| memory.column(more, TEXT)));
        let width = if self.more.is_some() { 4 } else { 3 };
        let key = [memory.text("partition"), memory.text("position")].concat();
        let name = memory.text("event");
        let table = [name, memory.list(&columns, width), memory.list(&key, 2), [0; 8]].concat();
        let (name_of_all, tables) = (memory.text("noting"), memory.list(&table, 1));
        let descriptor =
            memory.put(&[&name_of_all[..], &self.version.to_le_bytes(), &tables, &[0; 8]].concat());
        // Tag and text of a cell: the mark.
        let mark = memory.text(self.mark);
        let cell = memory.put(&[&[1, 0, 0, 0, 0, 0, 0, 0][..], &mark].concat());
        let name = memory.put(&name);
        let answer = memory.put(&[0; 16]);
        let bytes: String = memory.0.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let text = code(width, self.traps_at, [descriptor, cell, name, answer], &bytes);
        let (resolve, world) = resolve(environment, "projector")?;
        encode(&resolve, world, &text)
    }
}

/// Events lie 80 bytes apart, with the position at offset 8; a change has 20 bytes, and a value 16.
fn code(width: usize, traps_at: u64, [descriptor, cell, name, answer]: [u32; 4], bytes: &str) -> String {
    let row = width * 16;
    let cells: String = (2..width)
        .map(|number| {
            let at = number * 16;
            format!(
                "(i64.store offset={at} (local.get $v) (i64.load (i32.const {cell})))
                 (i64.store offset={} (local.get $v) (i64.load offset=8 (i32.const {cell})))",
                at + 8
            )
        })
        .collect();
    format!(
        r#"(module
            (memory (export "memory") 64)
            (global $free (mut i32) (i32.const 65536))
            (func $take (param $size i32) (result i32)
                global.get $free
                (global.set $free
                    (i32.and (i32.add (i32.add (global.get $free) (local.get $size)) (i32.const 15)) (i32.const -16))))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $take (local.get 3)))
            (func (export "clearfold:handlers/projection@0.1.0#describe") (result i32) i32.const {descriptor})
            (func (export "clearfold:handlers/projection@0.1.0#keys") (param i32 i32) (result i32) i32.const {answer})
            (func (export "clearfold:handlers/projection@0.1.0#project")
                (param $e i32) (param $n i32) (param $r i32) (param $m i32) (result i32)
                (local $c i32) (local $v i32)
                (local.set $c (call $take (i32.mul (local.get $n) (i32.const 20))))
                (local.set $v (call $take (i32.mul (local.get $n) (i32.const {row}))))
                (i32.store offset=4 (i32.const {answer}) (local.get $c))
                (i32.store offset=8 (i32.const {answer}) (local.get $n))
                (block $done (loop $next
                    (br_if $done (i32.eqz (local.get $n)))
                    (if (i64.eq (i64.load offset=8 (local.get $e)) (i64.const {traps_at})) (then unreachable))
                    (i64.store offset=4 align=4 (local.get $c) (i64.load (i32.const {name})))
                    (i32.store offset=12 (local.get $c) (local.get $v))
                    (i32.store offset=16 (local.get $c) (i32.const {width}))
                    (i32.store (local.get $v) (i32.const 2))
                    (i64.store offset=8 (local.get $v) (i64.load32_u (local.get $e)))
                    (i32.store offset=16 (local.get $v) (i32.const 2))
                    (i64.store offset=24 (local.get $v) (i64.load offset=8 (local.get $e)))
                    {cells}
                    (local.set $e (i32.add (local.get $e) (i32.const 80)))
                    (local.set $c (i32.add (local.get $c) (i32.const 20)))
                    (local.set $v (i32.add (local.get $v) (i32.const {row})))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br $next)))
                i32.const {answer})
            (data (i32.const {}) "{bytes}"))"#,
        Memory::AT
    )
}

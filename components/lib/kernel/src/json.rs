//! JSON writer whose output is byte for byte that of `serde_json`, in fewer steps: every decision writes its events,
//! and in the sandbox every step costs fuel. `cargo xtask bench wasm` compares the two (ADR 0018).
//!
//! Common values (structs, texts, whole numbers) are written here; rare ones (a text with characters to escape, a
//! number that is not whole) are left to `serde_json`. This module never changes the output, only the speed.

use serde::Serialize;
use serde::ser::{
    Error as _, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

type Result<T = ()> = std::result::Result<T, Error>;

/// Initial capacity in bytes, enough for a typical event.
const USUAL: usize = 1024;

/// Serializes a value as JSON.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    if cfg!(feature = "serde-json-writer") {
        return serde_json::to_vec(value);
    }
    let mut json = Json { out: Vec::with_capacity(USUAL) };
    value.serialize(&mut json)?;
    Ok(json.out)
}

/// Returns true if a JSON text holds the character U+0000, which stands in it as an escape. Databases store no such
/// text. A backslash that is escaped itself begins no escape.
#[must_use]
pub fn holds_zero(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = rest.get(at.saturating_add(1)..).unwrap_or_default();
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

struct Json {
    out: Vec<u8>,
}

impl Json {
    /// Writes a text. It is copied and checked in one pass, eight bytes at a time, because in WebAssembly a call to
    /// copy a few bytes costs more than the copying itself.
    fn text(&mut self, text: &str) -> Result {
        let begin = self.out.len();
        self.out.reserve(text.len() + 10);
        self.out.push(b'"');
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let mut odd = 0;
        for word in words {
            odd |= odd_bytes(u64::from_le_bytes(*word));
            self.out.extend_from_slice(word);
        }
        if !rest.is_empty() {
            // The last word is padded with bytes that need no escape; the padding is truncated afterwards.
            let mut last = u64::from_le_bytes(*b"--------");
            for byte in rest.iter().rev() {
                last = last << 8 | u64::from(*byte);
            }
            odd |= odd_bytes(last);
            self.out.extend_from_slice(&last.to_le_bytes());
            self.out.truncate(begin + 1 + text.len());
        }
        if odd != 0 {
            self.out.truncate(begin);
            return serde_json::to_writer(&mut self.out, text);
        }
        self.out.push(b'"');
        Ok(())
    }

    fn raw<T: Serialize>(&mut self, value: T) -> Result {
        serde_json::to_writer(&mut self.out, &value)
    }

    fn plain(&mut self, bytes: &[u8]) -> Result {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes `{"variant":`.
    fn variant(&mut self, variant: &str) -> Result {
        self.out.push(b'{');
        self.text(variant)?;
        self.plain(b":")
    }

    fn open(&mut self, bracket: u8, close: &'static [u8]) -> Open<'_> {
        self.out.push(bracket);
        Open { json: self, is_empty: true, close }
    }
}

/// Returns a value other than zero if one of the eight bytes is a quote, a backslash or a control character.
fn odd_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let below = |word: u64, end: u64| word.wrapping_sub(ONES * end) & !word;
    (below(word, 0x20) | below(word ^ QUOTES, 1) | below(word ^ BACKSLASHES, 1)) & (ONES * 0x80)
}

/// List or object that is being written.
struct Open<'a> {
    json: &'a mut Json,
    is_empty: bool,
    close: &'static [u8],
}

impl Open<'_> {
    fn separate(&mut self) {
        if !self.is_empty {
            self.json.out.push(b',');
        }
        self.is_empty = false;
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.separate();
        value.serialize(&mut *self.json)
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result {
        self.separate();
        self.json.text(key)?;
        self.json.out.push(b':');
        value.serialize(&mut *self.json)
    }

    fn close(self) -> Result {
        self.json.plain(self.close)
    }
}

/// Implements the methods for numbers and characters with `serde_json`.
macro_rules! numbers {
    ($($name:ident: $number:ty),+) => {
        $(fn $name(self, value: $number) -> Result {
            self.raw(value)
        })+
    };
}

impl<'a> Serializer for &'a mut Json {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'a>;
    type SerializeTuple = Open<'a>;
    type SerializeTupleStruct = Open<'a>;
    type SerializeTupleVariant = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeStructVariant = Open<'a>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char
    }

    fn serialize_bool(self, value: bool) -> Result {
        self.plain(if value { b"true" } else { b"false" })
    }

    fn serialize_str(self, value: &str) -> Result {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        self.raw(value)
    }

    fn serialize_none(self) -> Result {
        self.plain(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.plain(b"null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result {
        self.plain(b"null")
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.plain(b"}")
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Open<'a>> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Open<'a>> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Open<'a>> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Open<'a>> {
        self.variant(variant)?;
        Ok(self.open(b'[', b"]}"))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Open<'a>> {
        Ok(self.open(b'{', b"}"))
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Open<'a>> {
        Ok(self.open(b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Open<'a>> {
        self.variant(variant)?;
        Ok(self.open(b'{', b"}}"))
    }
}

/// Implements the list traits, which differ only in the name of the method that writes an element.
macro_rules! elements {
    ($($kind:ident: $name:ident),+) => {
        $(impl $kind for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.element(value)
            }

            fn end(self) -> Result {
                self.close()
            }
        })+
    };
}

elements! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field
}

/// Implements the struct traits in the same way.
macro_rules! members {
    ($($kind:ident),+) => {
        $(impl $kind for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
                self.member(key, value)
            }

            fn end(self) -> Result {
                self.close()
            }
        })+
    };
}

members! { SerializeStruct, SerializeStructVariant }

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.separate();
        key.serialize(Key(&mut *self.json))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.json.out.push(b':');
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Result {
        self.close()
    }
}

/// Serializer of a member's name: a text, or a whole number or boolean in quotes.
struct Key<'a>(&'a mut Json);

impl Key<'_> {
    fn quoted<T: Serialize>(self, value: T) -> Result {
        self.0.out.push(b'"');
        self.0.raw(value)?;
        self.0.plain(b"\"")
    }
}

fn no_key<T>() -> Result<T> {
    Err(Error::custom("key must be a string"))
}

macro_rules! number_keys {
    ($($name:ident: $number:ty),+) => {
        $(fn $name(self, value: $number) -> Result {
            self.quoted(value)
        })+
    };
}

macro_rules! no_keys {
    ($($name:ident($($argument:ty),*) -> $made:ty);+ $(;)?) => {
        $(fn $name(self $(, _: $argument)*) -> Result<$made> {
            no_key()
        })+
    };
}

impl Serializer for Key<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    number_keys! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_bool: bool
    }

    no_keys! {
        serialize_f32(f32) -> (); serialize_f64(f64) -> (); serialize_bytes(&[u8]) -> ();
        serialize_none() -> (); serialize_unit() -> (); serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_char(self, value: char) -> Result {
        self.0.raw(value)
    }

    fn serialize_str(self, value: &str) -> Result {
        self.0.text(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result {
        self.0.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result {
        no_key()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Clone, Serialize)]
    enum Shape {
        Unit,
        New(i64),
        Pair(u8, String),
        Named { a: Option<String>, b: Vec<Shape>, c: () },
    }

    #[derive(Debug, Clone, Serialize)]
    struct Flat {
        first: bool,
        #[serde(flatten)]
        shape: BTreeMap<String, Shape>,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        numbers: BTreeMap<u64, i128>,
        word: Word,
        tuple: (u128, char, &'static [u8]),
    }

    #[derive(Debug, Clone, Serialize)]
    struct Word(String);

    fn shape() -> impl Strategy<Value = Shape> {
        let leaf = prop_oneof![
            Just(Shape::Unit),
            any::<i64>().prop_map(Shape::New),
            (any::<u8>(), any::<String>()).prop_map(|(number, text)| Shape::Pair(number, text)),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            (any::<Option<String>>(), prop::collection::vec(inner, 0..4)).prop_map(|(a, b)| Shape::Named {
                a,
                b,
                c: (),
            })
        })
    }

    proptest! {
        #[test]
        fn every_shape_is_written_as_serde_json_writes_it(
            shapes in prop::collection::btree_map(any::<String>(), shape(), 0..4),
            numbers in prop::collection::btree_map(any::<u64>(), any::<i128>(), 0..3),
            (first, left_out, text, wide, letter) in
                (any::<bool>(), any::<Option<u8>>(), any::<String>(), any::<u128>(), any::<char>()),
        ) {
            let tuple = (wide, letter, &b"bytes"[..]);
            let value = Flat { first, shape: shapes, left_out, numbers, word: Word(text), tuple };
            prop_assert_eq!(to_vec(&value).unwrap(), serde_json::to_vec(&value).unwrap());
        }

        #[test]
        fn every_text_is_escaped_where_serde_json_escapes_it(text in "[ -~\\x00-\\x22\\x5c\\x7f\u{e9}\u{1f600}]{0,40}") {
            prop_assert_eq!(to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_word() {
        for byte in 0..128_u8 {
            for place in 0..20 {
                let mut text = "a".repeat(20).into_bytes();
                text[place] = byte;
                let text = String::from_utf8(text).unwrap();
                assert_eq!(to_vec(&text).unwrap(), serde_json::to_vec(&text).unwrap());
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_as_by_serde_json() {
        let odd = BTreeMap::from([(vec![1_u8], 1_u8)]);
        let (ours, theirs) = (to_vec(&odd).unwrap_err(), serde_json::to_vec(&odd).unwrap_err());
        assert_eq!(ours.to_string(), theirs.to_string());
        let document = serde_json::json!({"a": [1, -2, "x\n", null, true], "b": {"c": 1.5}});
        assert_eq!(to_vec::<Value>(&document).unwrap(), serde_json::to_vec(&document).unwrap());
    }
}

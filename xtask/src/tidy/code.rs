//! Rust source with its comments and literals blanked out: what is left can be searched line by line.

/// Code of the same length and with the same lines as the source.
pub struct Code {
    pub text: String,
}

impl Code {
    pub fn new(source: &str) -> Self {
        let mut text = String::with_capacity(source.len());
        let mut rest = source;
        while let Some(letter) = rest.chars().next() {
            let blanked = blanked_length(rest, text.chars().next_back());
            let taken = if blanked == 0 { letter.len_utf8() } else { blanked };
            let (piece, after) = rest.split_at(taken);
            if blanked == 0 {
                text.push(letter);
            } else {
                // One space per byte keeps offsets true.
                text.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            }
            rest = after;
        }
        Self { text }
    }

    /// The line, from 1, of an offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// The lines, from 1, that hold this word by itself.
    pub fn lines_with_word(&self, word: &str) -> Vec<usize> {
        let apart = |neighbour: Option<char>| neighbour.is_none_or(|letter| !is_word(letter));
        let matches = self.text.match_indices(word).filter(|(start, _)| {
            apart(self.text[..*start].chars().next_back())
                && apart(self.text[start + word.len()..].chars().next())
        });
        matches.map(|(start, _)| self.line_of(start)).collect()
    }
}

pub fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// How many bytes at the start of `rest` are a comment or a literal; 0: none.
fn blanked_length(rest: &str, before: Option<char>) -> usize {
    let begins_word = before.is_none_or(|letter| !is_word(letter));
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if begins_word && (rest.starts_with('r') || rest.starts_with("br")) {
        return raw_string(rest).unwrap_or(0);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// A literal from its opening quote to its closing one, with escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `br#"…"#` and so on; None: a name that begins with an r.
fn raw_string(rest: &str) -> Option<usize> {
    let opened = rest.trim_start_matches('b').strip_prefix('r')?;
    let hashes = opened.len() - opened.trim_start_matches('#').len();
    let body = opened[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

/// A character; a lifetime is none.
fn character(rest: &str) -> usize {
    let mut letters = rest.chars().skip(1);
    match (letters.next(), letters.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_nothing_moves() {
        let source = "a /* b /* c */ d */ e // f\n\"g\\\"h\" i r#\"j\"k\"# l 'm' '\\'' n<'o> br\"p\" r q\n";
        let code = Code::new(source);
        assert_eq!(code.text.len(), source.len());
        assert_eq!(code.text.lines().count(), 2);
        let left: String = code.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(left, "a e i l n<'o> r q");
    }

    #[test]
    fn letters_beyond_ascii_keep_offsets_true() {
        let source = "\"€\" f64\n";
        let code = Code::new(source);
        assert_eq!(code.text.find("f64"), source.find("f64"));
    }

    #[test]
    fn a_word_is_found_by_itself_only() {
        let code = Code::new("// f64\nlet x: f64 = as_f64(y);\nlet f64x = 1;\nfn g() -> (f64, f64)");
        assert_eq!(code.lines_with_word("f64"), [2, 4, 4]);
    }
}

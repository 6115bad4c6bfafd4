//! `cargo xtask tidy --report`: what stands out in the sources, for a reader to judge. It decides nothing and fails never.

use crate::place;

const LONGEST_FUNCTION: usize = 70;
/// Words that begin a riddle rather than a summary (docs/CONTRIBUTING.md, Language).
const RIDDLES: [&str; 12] =
    ["What", "Who", "Whose", "Of", "Whether", "How", "Where", "That", "Nothing", "Why", "Which", "When"];

/// Prints what stands out in these files, and how much of each kind.
pub fn print(files: &[String]) {
    let mut found: [Vec<String>; 3] = Default::default();
    for file in files.iter().filter(|file| file.ends_with(".rs") || file.ends_with(".wit")) {
        // A file may be deleted but still in git's list.
        let Ok(text) = std::fs::read_to_string(place::root().join(file)) else { continue };
        found[0].extend(long_file(&text).map(|lines| format!("{file}: {lines} lines")));
        let functions = long_functions(&text);
        found[1].extend(
            functions.iter().map(|(line, name, length)| format!("{file}:{line}: {name}: {length} lines")),
        );
        found[2]
            .extend(riddles(&text).into_iter().map(|(line, summary)| format!("{file}:{line}: {summary}")));
    }
    let titles = [
        format!("files of more than {} lines", super::rules::LONGEST_FILE),
        format!("functions of more than {LONGEST_FUNCTION} lines"),
        "doc summaries that begin with a question word".to_owned(),
    ];
    for (title, lines) in titles.iter().zip(&found) {
        println!("{title}: {}", lines.len());
        lines.iter().for_each(|line| println!("    {line}"));
    }
}

fn long_file(text: &str) -> Option<usize> {
    let lines = text.lines().count();
    (lines > super::rules::LONGEST_FILE).then_some(lines)
}

/// First line, name and length of each function that is longer than a screen. Sources are formatted, so a function ends
/// at the first brace that is indented like its beginning.
fn long_functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let functions = lines.iter().enumerate().filter_map(|(first, line)| {
        let name = function_name(line)?;
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[first..].iter().position(|line| *line == end)? + 1;
        (length > LONGEST_FUNCTION).then(|| (first + 1, name.to_owned(), length))
    });
    functions.collect()
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_qualifier = |word: &str| {
        word.starts_with("pub")
            || ["async", "const", "unsafe", "extern", "\"C\"", "crate)", "super)"].contains(&word)
    };
    // A declaration has no body, and some bodies stand on the same line.
    if !before.split_whitespace().all(is_qualifier) || line.trim_end().ends_with([';', '}']) {
        return None;
    }
    after.split(['(', '<']).next().filter(|name| !name.is_empty())
}

/// Line and text of each doc summary that begins with a question word.
fn riddles(text: &str) -> Vec<(usize, &str)> {
    let doc = |line: &str| {
        let line = line.trim_start();
        ["///", "//!"].into_iter().find(|mark| line.starts_with(mark))
    };
    let mut found = Vec::new();
    let mut before = None;
    for (index, line) in text.lines().enumerate() {
        let mark = doc(line);
        if let Some(mark) = mark.filter(|mark| before != Some(*mark)) {
            let summary = line.trim_start().trim_start_matches(mark).trim();
            let first = summary.split(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default();
            if RIDDLES.contains(&first) {
                found.push((index + 1, summary));
            }
        }
        before = mark;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_a_doc_comment_is_its_summary() {
        let text = "//! Whose it is.\n//! What follows.\n\n/// A card.\n/// Of a customer.\nfn f() {}\n    /// Which row.\n";
        assert_eq!(riddles(text), [(1, "Whose it is."), (7, "Which row.")]);
        assert!(riddles("/// Offers a price.\n// What else\n").is_empty());
    }

    #[test]
    fn a_function_is_measured_from_its_name_to_its_brace() {
        let long = format!("    pub async fn long<T>(\n{}    }}\n", "        x();\n".repeat(70));
        let text = format!("fn short() {{\n}}\nfn one() {{}}\nimpl X {{\n{long}    fn declared();\n}}\n");
        assert_eq!(long_functions(&text), [(5, "long".to_owned(), 72)]);
    }
}

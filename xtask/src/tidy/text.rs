//! Takes a source apart into code, comments and string literals, so that a gate sees only what it is about. Knows Rust and TypeScript well enough for
//! that, no better. Line numbers stay: what is taken out leaves its line breaks.

/// The same text three times, each with everything else blanked.
#[derive(Default)]
pub struct Parts {
    pub code: String,
    pub comments: String,
    /// Line (from 1) and content of each string literal.
    pub strings: Vec<(usize, String)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Language {
    Rust,
    TypeScript,
}

/// One pass from left to right; unterminated pieces run to the end.
pub fn parts(text: &str, language: Language) -> Parts {
    let mut parts = Parts::default();
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut line = 1;
    while at < bytes.len() {
        let rest = &text[at..];
        let (len, kind) = piece(rest, language, parts.code.as_bytes().last().copied());
        let piece = &rest[..len];
        let breaks = "\n".repeat(piece.matches('\n').count());
        match kind {
            Kind::Code => {
                parts.code.push_str(piece);
                parts.comments.push_str(&breaks);
            }
            Kind::Comment => {
                parts.comments.push_str(piece);
                parts.code.push_str(&breaks);
            }
            Kind::Text => {
                parts.strings.push((line, content(piece).to_owned()));
                parts.code.push_str("\"\"");
                parts.code.push_str(&breaks);
                parts.comments.push_str(&breaks);
            }
        }
        line += breaks.len();
        at += len;
    }
    parts
}

/// A literal without its quotes, hashes and prefix.
fn content(literal: &str) -> &str {
    let quote = |c: char| matches!(c, '"' | '\'' | '`');
    let start = literal.find(quote).map_or(0, |at| at + 1);
    let end = literal.rfind(quote).filter(|end| *end >= start).unwrap_or(literal.len());
    &literal[start..end]
}

enum Kind {
    Code,
    Comment,
    Text,
}

/// Length and kind of the piece at the start of `rest`; `before` is the last byte of code.
fn piece(rest: &str, language: Language, before: Option<u8>) -> (usize, Kind) {
    let to = |found: Option<usize>, extra: usize| found.map_or(rest.len(), |at| at + extra);
    let word_before = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if rest.starts_with("//") {
        return (to(rest.find('\n'), 0), Kind::Comment);
    }
    if let Some(inside) = rest.strip_prefix("/*") {
        return (to(inside.find("*/"), 4), Kind::Comment);
    }
    if language == Language::Rust && !word_before {
        let raw = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r');
        if let Some(raw) = raw {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            if raw[hashes..].starts_with('"') {
                let start = rest.len() - raw.len() + hashes + 1;
                let end = format!("\"{}", "#".repeat(hashes));
                return (rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()), Kind::Text);
            }
        }
    }
    let first = rest.chars().next().expect("not at the end");
    let quote = match (language, first) {
        (_, '"') => Some('"'),
        (Language::TypeScript, '\'' | '`') => Some(first),
        (Language::Rust, '\'') => {
            // A character, or a lifetime?
            let mut chars = rest[1..].chars();
            let escaped = chars.next() == Some('\\');
            (escaped || chars.next() == Some('\'')).then_some('\'')
        }
        _ => None,
    };
    match quote {
        Some(quote) => (quoted(rest, quote), Kind::Text),
        None => (first.len_utf8(), Kind::Code),
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + char.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Lines (from 1) of `text` in which `word` stands alone, not as a part of a longer word.
pub fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let alone = move |line: &str| {
        line.match_indices(word).any(|(at, found)| {
            let first_open = !found.starts_with(inside) || !line[..at].ends_with(inside);
            let last_open = !found.ends_with(inside) || !line[at + found.len()..].starts_with(inside);
            first_open && last_open
        })
    };
    text.lines().enumerate().filter(move |(_, line)| alone(line)).map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_is_taken_apart() {
        let text = "let a = \"unsafe // no\"; // unsafe\nfn f<'a>(c: &'a str) { '\"'; r#\"x \"unsafe\" y\"# }\n/* unsafe */ unsafe {}\n";
        let parts = parts(text, Language::Rust);
        assert_eq!(lines_with(&parts.code, "unsafe").collect::<Vec<_>>(), [3]);
        assert_eq!(lines_with(&parts.comments, "unsafe").collect::<Vec<_>>(), [1, 3]);
        let strings: Vec<_> = parts.strings.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(strings, [(1, "unsafe // no"), (2, "\""), (2, "x \"unsafe\" y")]);
        assert!(parts.code.contains("<'a>(c: &'a str)"), "lifetimes are code: {}", parts.code);
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(lines_with("unsafe_code\nan unsafe block\n", "unsafe").collect::<Vec<_>>(), [2]);
        assert_eq!(lines_with("x.only(1)\nif only (x)\n", ".only(").collect::<Vec<_>>(), [1]);
    }
}

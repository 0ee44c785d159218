//! Figures that are places to look at. They never fail: a limit that is obeyed by padding is worse than none.

use super::{
    Tree,
    text::{Language, parts},
};

const LINES_LONG: usize = 500;
const FUNCTION_LONG: usize = 70;
const RUST: [&str; 8] = ["src", "node", "orderbook", "indexer", "api", "xtask", "tests", "examples"];

pub fn print(tree: &Tree) {
    let (mut files, mut lines, mut comments) = (0, 0, 0);
    let (mut long_files, mut long_functions, mut headless) = (Vec::new(), Vec::new(), Vec::new());
    for file in tree.below(&RUST, "rs") {
        let text = tree.text(file);
        let count = text.lines().count();
        files += 1;
        lines += count;
        let parts = parts(&text, Language::Rust);
        comments += parts.comments.lines().filter(|line| !line.trim().is_empty()).count();
        if count > LINES_LONG {
            long_files.push(format!("{file} {count}"));
        }
        if count > 10 && !text.starts_with("//!") {
            headless.push(file.to_owned());
        }
        long_functions
            .extend(functions(&parts.code).filter(|(_, len)| *len > FUNCTION_LONG).map(|(line, len)| format!("{file}:{line} {len}")));
    }
    println!("advice: {files} Rust files, {lines} lines, {} % with comments", comments * 100 / lines.max(1));
    show("files over 500 lines", &long_files);
    show("functions over 70 lines", &long_functions);
    show("files without a header", &headless);
}

fn show(what: &str, places: &[String]) {
    const SHOWN: usize = 12;
    if !places.is_empty() {
        let more = if places.len() > SHOWN { format!(" and {} more", places.len() - SHOWN) } else { String::new() };
        println!("advice: {} {what}: {}{more}", places.len(), places[..places.len().min(SHOWN)].join(", "));
    }
}

/// First line and length of each function, told by the indentation rustfmt gives its last brace.
fn functions(code: &str) -> impl Iterator<Item = (usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let is_function = |line: &str| {
        let words = line.split_whitespace().take(4).collect::<Vec<_>>();
        words.contains(&"fn") && !line.trim_end().ends_with(';')
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        if let Some(len) = lines[at..].iter().position(|other| *other == end) {
            found.push((at + 1, len + 1));
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let code = "fn a() {\n    1\n}\nimpl X {\n    pub fn b() {\n        2\n\n    }\n}\n";
        assert_eq!(functions(code).collect::<Vec<_>>(), [(1, 3), (5, 4)]);
    }
}

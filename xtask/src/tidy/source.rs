//! Gates over source text.

use super::{
    Findings, Tree,
    text::{Language, lines_with, parts},
};

const RUST: [&str; 8] = ["src", "node", "orderbook", "indexer", "api", "xtask", "tests", "examples"];

pub fn unsafe_code(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    for file in tree.below(&RUST, "rs") {
        let parts = parts(&tree.text(file), Language::Rust);
        findings.extend(lines_with(&parts.code, "unsafe").map(|line| format!("{file}:{line}: unsafe")));
    }
    Ok(findings)
}

pub fn floats(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    for file in tree.below(&["orderbook/src", "indexer/src/project"], "rs") {
        let parts = parts(&tree.text(file), Language::Rust);
        for float in ["f32", "f64"] {
            findings.extend(lines_with(&parts.code, float).map(|line| format!("{file}:{line}: {float}")));
        }
    }
    Ok(findings)
}

/// Is this the text of a statement, not a sentence that begins with the same word?
fn is_sql(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    let both = |first: &str, second: &str| text.starts_with(first) && text.contains(second);
    both("select ", " from ")
        || both("update ", " set ")
        || both("copy ", " stdin")
        || both("copy ", " stdout")
        || ["insert into ", "delete from ", "create table ", "create index ", "alter table ", "drop table ", "truncate table "]
            .iter()
            .any(|start| text.starts_with(start))
}

/// Tests and benches may look into the database; the product does so in one place.
pub fn sql(tree: &Tree) -> Findings {
    let allowed = ["indexer/src/store/", "indexer/src/postgres/"];
    let mut findings = Vec::new();
    for file in tree
        .below(&["src", "node/src", "orderbook/src", "indexer/src", "api/src"], "rs")
        .filter(|file| !allowed.iter().any(|start| file.starts_with(start)))
    {
        let text = tree.text(file);
        // Unit tests at a file's end are tests.
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let strings = parts(product, Language::Rust).strings;
        findings.extend(strings.iter().filter(|(_, text)| is_sql(text)).map(|(line, _)| format!("{file}:{line}: SQL")));
    }
    for file in tree.below(&[""], "sql").filter(|file| !file.starts_with("indexer/migrations/")) {
        findings.push(format!("{file}: SQL outside indexer/migrations"));
    }
    Ok(findings)
}

pub fn marks(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    let mut note =
        |file: &str, text: &str, word: &str| findings.extend(lines_with(text, word).map(|line| format!("{file}:{line}: {word}")));
    for file in tree.below(&RUST, "rs") {
        let parts = parts(&tree.text(file), Language::Rust);
        ["TODO", "FIXME", "XXX"].iter().for_each(|word| note(file, &parts.comments, word));
        ["dbg!", "todo!", "unimplemented!", "#[ignore"].iter().for_each(|word| note(file, &parts.code, word));
    }
    for end in ["ts", "tsx", "mjs", "cjs", "sol", "css"] {
        for file in tree.below(&["web", "contracts", "tests"], end) {
            let parts = parts(&tree.text(file), Language::TypeScript);
            ["TODO", "FIXME", "XXX"].iter().for_each(|word| note(file, &parts.comments, word));
            [".only(", ".skip("].iter().for_each(|word| note(file, &parts.code, word));
            if file.starts_with("web/src/") {
                note(file, &parts.code, "console.log");
            }
        }
    }
    for end in ["sql", "py", "toml", "yml"] {
        for file in tree.below(&[""], end) {
            ["TODO", "FIXME"].iter().for_each(|word| note(file, &tree.text(file), word));
        }
    }
    Ok(findings)
}

/// Rust files that no `mod` line leads to, and pages' sources that nothing imports.
pub fn dead(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    for file in tree.below(&RUST, "rs") {
        if !is_crate_root(file) && !rust_parents(file).iter().any(|(parent, name)| has_mod(tree, parent, name)) {
            findings.push(format!("{file}: no `mod` leads here"));
        }
    }
    Ok(findings)
}

fn is_crate_root(file: &str) -> bool {
    let parts: Vec<&str> = file.split('/').collect();
    let (name, folders) = parts.split_last().expect("a path has a name");
    let folder = folders.last().copied().unwrap_or_default();
    let top = matches!(*name, "lib.rs" | "main.rs" | "build.rs");
    let by_folder = matches!(folder, "bin" | "examples" | "benches") || (folder == "tests" && folders.len() <= 2);
    top || by_folder
}

/// Files that may hold the `mod` line of `file`, and the name it would have.
fn rust_parents(file: &str) -> Vec<(String, String)> {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let stem = name.trim_end_matches(".rs");
    let (folder, stem) = if stem == "mod" { folder.rsplit_once('/').unwrap_or(("", folder)) } else { (folder, stem) };
    let mut parents: Vec<String> = ["mod.rs", "lib.rs", "main.rs"].iter().map(|parent| format!("{folder}/{parent}")).collect();
    parents.push(format!("{folder}.rs"));
    parents.into_iter().map(|parent| (parent, stem.to_owned())).collect()
}

fn has_mod(tree: &Tree, parent: &str, name: &str) -> bool {
    let code = parts(&tree.text(parent), Language::Rust).code;
    code.lines().any(|line| line.trim().trim_end_matches(';').ends_with(&format!("mod {name}")) && line.trim().ends_with(';'))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::planted, *};

    const GOOD: (&str, &str) = ("node/src/lib.rs", "//! About unsafe code: none.\npub mod a;\nconst WORD: &str = \"unsafe TODO dbg!\";\n");
    const A: (&str, &str) = ("node/src/a.rs", "pub fn f() {}\n");

    #[test]
    fn planted_unsafe_code_is_found() {
        planted(unsafe_code, &[GOOD, A], &[("node/src/a.rs", "fn f() {\n  unsafe { g() }\n}\n")], "node/src/a.rs:2");
    }

    #[test]
    fn a_planted_float_is_found() {
        let good = ("orderbook/src/units.rs", "/// no f64\npub struct Ticks(u32);\n");
        planted(floats, &[good], &[("orderbook/src/units.rs", "pub struct Price(f64);\n")], "f64");
    }

    #[test]
    fn planted_sql_is_found() {
        let good = [
            ("indexer/src/store/read.rs", "const Q: &str = \"select 1 from fills\";"),
            ("api/src/a.rs", "const W: &str = \"choose a market\";\n#[cfg(test)]\nmod t { const Q: &str = \"select 1 from x\"; }"),
        ];
        planted(sql, &good, &[("api/src/a.rs", "let q = \"\n  SELECT * FROM fills\";")], "api/src/a.rs:1");
        planted(sql, &good, &[("api/src/q.sql", "select 1")], "api/src/q.sql");
    }

    #[test]
    fn planted_marks_are_found() {
        for (file, text, word) in [
            ("node/src/a.rs", "// TODO later\n", "TODO"),
            ("node/src/a.rs", "fn f() { dbg!(1); }\n", "dbg!"),
            ("node/src/a.rs", "fn f() { todo!() }\n", "todo!"),
            ("node/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n", "#[ignore"),
            ("web/src/a.ts", "console.log(1)\n", "console.log"),
            ("web/src/a.test.ts", "it.only('x', () => {})\n", ".only("),
            ("contracts/src/A.sol", "// FIXME\n", "FIXME"),
            ("indexer/migrations/1.sql", "-- TODO\n", "TODO"),
        ] {
            planted(marks, &[GOOD, A], &[(file, text)], word);
        }
    }

    #[test]
    fn a_dead_file_is_found() {
        let good = [
            GOOD,
            A,
            ("node/tests/it/main.rs", "mod x;\n"),
            ("node/tests/it/x.rs", ""),
            ("api/src/lib.rs", "pub(crate) mod b;\n"),
            ("api/src/b/mod.rs", "mod c;\n"),
            ("api/src/b/c.rs", ""),
            ("tests/e2e/main.rs", ""),
            ("indexer/src/bin/tool.rs", ""),
        ];
        planted(dead, &good, &[("node/src/orphan.rs", "")], "node/src/orphan.rs");
        planted(dead, &good, &[("api/src/b/mod.rs", "// mod c;\n")], "api/src/b/c.rs");
    }
}

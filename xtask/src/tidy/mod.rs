//! `cargo xtask tidy`: reads the whole tree in a second and fails on what breaks the product or its promises, each gate with its findings by name.
//! Prints figures that are places to look at, which never fail. Runs no tool, needs no network.
//!
//! A gate is a function from a tree to findings, so each is tried on a small tree with a planted violation (the tests beside it).

mod advice;
mod arrows;
mod docs;
mod source;
mod tables;
mod text;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::run::{self, Count};

/// What a gate says about a tree: nothing, or one line per finding.
type Findings = Result<Vec<String>>;
type Gate = (&'static str, fn(&Tree) -> Findings);

const GATES: [Gate; 15] = [
    ("crate arrows point one way", arrows::crates),
    ("every crate takes the workspace's lints, unsafe is forbidden", arrows::lints),
    ("the order book knows no I/O, clock or async", arrows::pure),
    ("no unsafe code", source::unsafe_code),
    ("no floats in the order book", source::floats),
    ("SQL only in the indexer's store", source::sql),
    ("no unfinished marks", source::marks),
    ("no file that nothing includes", source::dead),
    ("rejects are the same in every language", tables::rejects),
    ("events are the same in every language", tables::events),
    ("artifacts are fresh, contracts fit a chain", tables::artifacts),
    ("every scenario reads as one", tables::scenarios),
    ("every option of hifi.toml exists", tables::options),
    ("paths and commands in the documents exist", docs::documents),
    ("the contract's document has the examples that are tested and the gas that is measured", docs::examples),
];

/// The files of a checkout: what git would track, found by reading folders.
pub struct Tree {
    root: PathBuf,
    /// Relative, with `/`, sorted.
    files: Vec<String>,
}

/// Folders that hold what tools made.
const MADE: [&str; 10] = ["target", "node_modules", ".git", "dist", "out", "cache", "data", ".venv", "venv", "__pycache__"];

impl Tree {
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                if entry.file_type()?.is_dir() {
                    if !MADE.contains(&name.as_str()) {
                        folders.push(path);
                    }
                } else {
                    files.push(path.strip_prefix(root)?.to_string_lossy().replace('\\', "/"));
                }
            }
        }
        files.sort();
        Ok(Self { root: root.to_owned(), files })
    }

    /// Files below one of `folders` that end with `.<end>`.
    fn below<'a>(&'a self, folders: &'a [&str], end: &'a str) -> impl Iterator<Item = &'a str> {
        let inside = move |file: &&str| folders.iter().any(|folder| folder.is_empty() || file.starts_with(&format!("{folder}/")));
        self.files
            .iter()
            .map(String::as_str)
            .filter(inside)
            .filter(move |file| file.ends_with(end) && file[..file.len() - end.len()].ends_with('.'))
    }

    fn has(&self, file: &str) -> bool {
        self.files.binary_search_by(|other| other.as_str().cmp(file)).is_ok()
    }

    /// Text of `file`; empty when it is not there.
    fn text(&self, file: &str) -> String {
        fs::read(self.root.join(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// Runs all gates and prints their findings.
pub fn count() -> Result<Count> {
    let tree = Tree::read(&run::root())?;
    let mut counted = Count::default();
    for (name, gate) in GATES {
        let findings = gate(&tree)?;
        if findings.is_empty() {
            counted.passed += 1;
            continue;
        }
        counted.failed += 1;
        println!("FAILED: {name}");
        findings.iter().for_each(|finding| println!("  {finding}"));
    }
    println!("tidy: {} gates passed, {} failed", counted.passed, counted.failed);
    advice::print(&tree);
    Ok(counted)
}

pub fn command() -> Result<()> {
    match count()?.failed {
        0 => Ok(()),
        failed => bail!("{failed} gates failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::TempDir;

    /// Runs `gate` on a tree of these files.
    pub fn findings(gate: fn(&Tree) -> Findings, files: &[(&str, &str)]) -> Vec<String> {
        let dir = TempDir::new("hifi-tidy").unwrap();
        for (name, text) in files {
            let path = dir.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        gate(&Tree::read(&dir.0).unwrap()).unwrap()
    }

    /// Asserts that the gate finds nothing in `good` and says `word` about `bad`.
    pub fn planted(gate: fn(&Tree) -> Findings, good: &[(&str, &str)], bad: &[(&str, &str)], word: &str) {
        assert_eq!(findings(gate, good), Vec::<String>::new(), "nothing is wrong here");
        let mut files = good.to_vec();
        files.retain(|(name, _)| !bad.iter().any(|(other, _)| name == other));
        files.extend(bad);
        let found = findings(gate, &files);
        assert!(found.iter().any(|finding| finding.contains(word)), "expected a finding about `{word}`, got {found:?}");
    }

    #[test]
    fn made_folders_are_not_read() {
        let dir = TempDir::new("hifi-tidy").unwrap();
        for name in ["src/a.rs", "target/b.rs", "web/node_modules/c.rs"] {
            fs::create_dir_all(dir.0.join(name).parent().unwrap()).unwrap();
            fs::write(dir.0.join(name), "").unwrap();
        }
        assert_eq!(Tree::read(&dir.0).unwrap().files, ["src/a.rs"]);
    }
}

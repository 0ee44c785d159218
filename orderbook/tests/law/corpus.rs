//! Every `testdata/*.book` on the engine. `HIFI_BLESS=1` rewrites the outcomes instead of comparing them.

use orderbook::{Engine, scenario};
use std::path::PathBuf;

/// All scenario files, sorted.
pub fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = std::fs::read_dir(&folder).expect("the corpus is beside the crate");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "book"));
    files.sort();
    files
}

#[test]
fn the_corpus_is_obeyed_by_the_engine() {
    let files = files();
    assert!(files.len() >= 25, "only {} scenarios found", files.len());
    let mut failures = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let mut engine = Engine::new(scenario::trader("owner"));
        if std::env::var_os("HIFI_BLESS").is_some() {
            match scenario::bless(&text, &mut engine) {
                Ok(written) => std::fs::write(&path, written).expect("writable"),
                Err(failure) => failures.push(format!("{name}.book {failure}")),
            }
            continue;
        }
        let parsed = scenario::parse(&text).unwrap_or_else(|error| panic!("{name}.book {error}"));
        match scenario::play(&parsed, &mut engine) {
            Ok(()) => {}
            Err(failure) => failures.push(format!("{name}.book {failure}")),
        }
        for book in engine.books() {
            book.check().unwrap_or_else(|error| panic!("{name}.book ends in a broken book: {error}"));
        }
    }
    assert!(failures.is_empty(), "{} scenarios differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_wrong_outcome_is_found_and_named() {
    let wrong = [
        ("alice ask 7 @ 1600\n  => placed alice ask 8 @ 1600\n", 1),
        ("alice ask 7 @ 1600\n  => placed alice ask 7 @ 1600\nbook: | 6 @ 1600\n", 3),
        ("alice ask 7 @ 1600\n", 1),
        ("funds 5\nalice ask 5 @ 1\n  => placed alice ask 5 @ 1\nbalance alice: 1 ETH\n", 4),
    ];
    for (text, line) in wrong {
        let parsed = scenario::parse(text).expect("it is a scenario");
        let failure = scenario::play(&parsed, &mut Engine::new(scenario::trader("owner"))).expect_err("it is wrong");
        assert_eq!(failure.line, line, "{failure}");
    }
}

#[test]
fn a_line_that_means_nothing_is_named() {
    for (text, line) in [("alice dance\n", 1), ("# x\nalice ask seven @ 1\n", 2), ("=> placed\n", 1), ("alice ask 1 @ 1 now\n", 1)] {
        assert_eq!(scenario::parse(text).expect_err("it is no scenario").line, line, "{text}");
    }
}

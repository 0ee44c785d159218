//! Every `testdata/*.book` on the engine. `HIFI_BLESS=1` rewrites the outcomes instead of comparing them.

use alloy_primitives::Address;
use orderbook::{
    AccountId, Atoms, Command, Engine, Event, LevelKey, Reject, TokenId, abi,
    operation::{self, Outcome},
    scenario, signed,
};
use std::collections::BTreeSet;
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

/// An engine that notes what it accepted and why it refused.
struct Noting {
    engine: Engine,
    done: BTreeSet<String>,
    refused: BTreeSet<&'static str>,
}

/// The name of a variant, out of its debug text.
fn variant(of: &impl std::fmt::Debug) -> String {
    format!("{of:?}").split([' ', '{']).next().unwrap_or_default().to_string()
}

impl scenario::Exchange for Noting {
    fn deploy_token(&mut self, at: Address) {
        scenario::Exchange::deploy_token(&mut self.engine, at);
    }
    fn apply(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<Vec<Event>, Reject> {
        let done = self.engine.execute(caller, command, now_s);
        match &done {
            Ok((events, words)) => {
                self.done.insert(variant(command));
                if let Command::Execute { ops, .. } | Command::ExecuteSigned { ops, .. } = command {
                    let (_, operations) = operation::decode(ops).expect("it was accepted");
                    let outcomes = operation::outcomes(&operations, words).expect("the words are those of the operations");
                    for (operation, outcomes) in operations.iter().zip(outcomes) {
                        if outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Failed { .. })) {
                            self.done.insert(format!("Operation::{}", variant(operation)));
                        }
                    }
                }
                for event in events {
                    match event {
                        Event::Rejected { reason, .. } => {
                            self.refused.insert(abi::reject_from_selector(*reason).expect("an error of the exchange").name());
                        }
                        Event::Reduced { reason, .. } => {
                            self.done.insert(format!("Reduced {reason:?}"));
                        }
                        Event::Taken { reason, .. } => {
                            self.done.insert(format!("Taken {reason:?}"));
                        }
                        _ => {}
                    }
                }
            }
            Err(reject) => {
                self.refused.insert(reject.name());
            }
        }
        done.map(|(events, _)| events)
    }
    fn set_domain(&mut self, domain: signed::Domain) {
        scenario::Exchange::set_domain(&mut self.engine, domain);
    }
    fn age_level(&mut self, level: LevelKey, tail: u64) {
        scenario::Exchange::age_level(&mut self.engine, level, tail);
    }
    fn balance(&self, account: AccountId, token: TokenId) -> (Atoms, Atoms) {
        scenario::Exchange::balance(&self.engine, account, token)
    }
}

/// Every command, every operation of a batch, every reject, every reason of `Reduced` and of `Taken` occurs in the corpus.
#[test]
fn the_corpus_shows_everything() {
    let mut noted = Noting { engine: Engine::new(Address::ZERO), done: BTreeSet::new(), refused: BTreeSet::new() };
    for path in files() {
        noted.engine = Engine::new(scenario::trader("owner"));
        let text = std::fs::read_to_string(&path).expect("readable");
        let parsed = scenario::parse(&text).unwrap_or_else(|error| panic!("{} {error}", path.display()));
        scenario::play(&parsed, &mut noted).unwrap_or_else(|failure| panic!("{} {failure}", path.display()));
    }
    // A token refuses, or calls back, in contracts/test: those of the corpus do neither.
    let elsewhere = ["TransferFailed", "Reentered"];
    for reject in Reject::ALL.iter().filter(|reject| !elsewhere.contains(reject)) {
        assert!(noted.refused.contains(reject), "no scenario shows {reject}");
    }
    let commands = noted.done.iter().filter(|name| !name.contains([':', ' '])).count();
    assert_eq!(commands, 22, "of 22 commands are shown {:?}", noted.done);
    let operations = noted.done.iter().filter(|name| name.starts_with("Operation::")).count();
    assert_eq!(operations, 10, "of 10 operations are shown {:?}", noted.done);
    let reasons = noted.done.iter().filter(|name| name.contains(' ')).count();
    assert_eq!(reasons, 7 + 5, "of 7 reasons to reduce and 5 to end a taking are shown {:?}", noted.done);
}

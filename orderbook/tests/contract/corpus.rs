//! Every `testdata/*.book` on the contract.

use crate::evm::Chain;
use orderbook::scenario;

#[test]
fn the_corpus_is_obeyed_by_the_contract() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let mut played = 0;
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpus is beside the crate") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|end| end != "book") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let parsed = scenario::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(failure) = scenario::play(&parsed, &mut Chain::new()) {
            failures.push(format!("{} {failure}", path.display()));
        }
        played += 1;
    }
    assert!(played >= 25, "only {played} scenarios found");
    assert!(failures.is_empty(), "{} of {played} scenarios differ:\n{}", failures.len(), failures.join("\n"));
}

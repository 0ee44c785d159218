//! Gate over the documents: what they tell the reader to open or to type must exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Findings, Tree};

/// First folders of paths that are ours.
const OURS: [&str; 13] =
    ["src/", "node/", "orderbook/", "indexer/", "api/", "contracts/", "web/", "xtask/", "tests/", "examples/", "docs/", ".ci/", ".cargo/"];
const XTASKS: [&str; 7] = ["up", "test", "tidy", "postgres", "contracts", "web", "--help"];
const HIFI: [&str; 8] = ["up", "node", "index", "api", "replay", "bench", "--help", "--version"];

pub fn documents(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    let documents = tree.below(&[""], "md").filter(|file| !file.contains('/') || file.starts_with("docs/") || file.ends_with("/README.md"));
    for file in documents {
        let mut fenced = None;
        for (at, line) in tree.text(file).lines().enumerate() {
            let mut note = |what: String| findings.push(format!("{file}:{}: {what}", at + 1));
            if let Some(language) = line.trim_start().strip_prefix("```") {
                fenced = if fenced.is_some() { None } else { Some(language.trim().to_owned()) };
                continue;
            }
            match &fenced {
                Some(language) => {
                    if matches!(language.as_str(), "sh" | "bash" | "console" | "shell") {
                        commands(line).into_iter().for_each(&mut note);
                    }
                }
                None => paths(tree, file, line).into_iter().for_each(&mut note),
            }
        }
    }
    Ok(findings)
}

/// Commands of a fenced line that we know not to exist.
fn commands(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.trim_start_matches(['$', ' ', '#']).split_whitespace().collect();
    let after = |first: &str, known: &[&str]| {
        let at = words.windows(first.split(' ').count()).position(|window| window.join(" ") == first)?;
        let next = words.get(at + first.split(' ').count())?;
        let wrong = next.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !known.contains(next);
        wrong.then(|| format!("`{first} {next}` is not a command"))
    };
    let starts_with_hifi = words.first().is_some_and(|word| *word == "hifi" || word.ends_with("/hifi"));
    let first = words.first().copied().unwrap_or_default();
    let hifi = if starts_with_hifi { after(first, &HIFI) } else { None };
    after("cargo xtask", &XTASKS).into_iter().chain(hifi).collect()
}

/// Paths of ours in code spans and links that do not exist.
fn paths(tree: &Tree, document: &str, line: &str) -> Vec<String> {
    let spans = line.split('`').skip(1).step_by(2).filter(|span| OURS.iter().any(|folder| span.starts_with(folder)));
    let plain = spans.filter(|span| !span.contains([' ', '*', '{', '<', '$', '(', '"', '|', '…']));
    let spans = plain.map(|span| span.split([':', '#']).next().unwrap_or(span).trim_end_matches('/').to_owned());
    let beside = Path::new(document).parent().unwrap_or(Path::new(""));
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    let links = links.filter(|link| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:"));
    let links = links.map(|link| beside.join(link).to_string_lossy().into_owned());
    // A folder's own README may name its files from that folder.
    let there = |path: &String| tree.root.join(path).exists() || tree.root.join(beside).join(path).exists();
    spans.chain(links).filter(|path| !there(path)).filter(|path| !made(path)).map(|path| format!("{path} does not exist")).collect()
}

/// The examples of the contract's document are its tests, one for one, and its gas figures those of the snapshot.
pub fn examples(tree: &Tree) -> Findings {
    let (document, tests, figures) = ("docs/contract.md", "contracts/test/Docs.t.sol", "contracts/snapshots/gas.json");
    let text = tree.text(document);
    let named = |text: &str, before: &str, after: char| -> BTreeSet<String> {
        text.split(before).skip(1).filter_map(|rest| rest.split_once(after)).map(|(name, _)| format!("test_{name}")).collect()
    };
    let told = named(&text, "`test_", '`');
    let tested = named(&tree.text(tests), "function test_", '(');
    let mut findings: Vec<String> = told.difference(&tested).map(|name| format!("{document}: {name} is not in {tests}")).collect();
    findings.extend(tested.difference(&told).map(|name| format!("{tests}: {name} is not in {document}")));
    let costs: BTreeMap<String, u64> = if tree.has(figures) { serde_json::from_str(&tree.text(figures))? } else { BTreeMap::new() };
    let missing = costs.iter().filter(|(_, gas)| !text.contains(&format!("| {} |", thousands(**gas))));
    findings.extend(missing.map(|(name, gas)| format!("{document}: {name} costs {gas} gas: run `node contracts/gas.cjs --docs`")));
    Ok(findings)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    std::iter::once(digits[..first].to_owned()).filter(|head| !head.is_empty()).chain(groups).collect::<Vec<_>>().join(",")
}

/// What a build or a run makes may be named without being there.
fn made(path: &str) -> bool {
    ["web/dist", "web/node_modules", "contracts/out", "contracts/cache", "contracts/node_modules", "node/state"]
        .iter()
        .any(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::planted, *};

    #[test]
    fn what_a_document_names_must_exist() {
        let good = [
            ("src/main.rs", ""),
            (
                "docs/api.md",
                "See `src/main.rs`, [main](../src/main.rs) and `src/*.rs`; `web/dist` is made.\n```sh\ncargo xtask test rust\nhifi up --no-demo\n```\n",
            ),
        ];
        planted(documents, &good, &[("README.md", "See `src/gone.rs:12`.\n")], "README.md:1: src/gone.rs");
        planted(documents, &good, &[("README.md", "[old](docs/old.md)\n")], "docs/old.md");
        planted(documents, &good, &[("README.md", "```console\n$ cargo xtask tets\n```\n")], "cargo xtask tets");
        planted(documents, &good, &[("README.md", "```sh\nhifi start\n```\n")], "hifi start");
    }

    #[test]
    fn examples_are_tests_and_gas_is_the_snapshots() {
        let good = [
            ("docs/contract.md", "> **Limit** (`test_limit`). 5 lots.\n\n| place | 1,054,912 | 60,000 |\n"),
            ("contracts/test/Docs.t.sol", "function test_limit() public {}\n"),
            ("contracts/snapshots/gas.json", "{\"place\": 1054912}"),
        ];
        planted(examples, &good, &[("contracts/test/Docs.t.sol", "function test_other() public {}\n")], "test_limit is not in");
        planted(examples, &good, &[("contracts/snapshots/gas.json", "{\"place\": 54912}")], "place costs 54912 gas");
    }
}

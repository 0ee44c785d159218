//! Gates over lists that exist in more than one language, and over what is generated from what.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Findings, Tree,
    text::{Language, parts},
};

const INTERFACE: &str = "contracts/src/interfaces/IExchange.sol";
/// EIP-170, bytes.
const CONTRACT_BYTES_MAX: usize = 24_576;

type Names = BTreeSet<String>;

/// Names of all `<keyword> Name(...)` declarations of the interface.
fn declared(tree: &Tree, keyword: &str) -> Names {
    let code = parts(&tree.text(INTERFACE), Language::TypeScript).code;
    let lines = code.lines().filter_map(|line| line.trim().strip_prefix(keyword)?.strip_prefix(' ')?.split('(').next());
    lines.map(|name| name.trim().to_owned()).collect()
}

/// Names of the variants of `enum <name>` in Rust source.
fn variants(text: &str, name: &str) -> Names {
    let code = parts(text, Language::Rust).code;
    let Some(body) = code.split(&format!("enum {name} {{")).nth(1) else { return Names::new() };
    let mut names = Names::new();
    let mut depth = 0;
    let mut word = String::new();
    for char in body.chars() {
        match char {
            _ if depth == 0 && (char.is_alphanumeric() || char == '_') => word.push(char),
            '}' if depth == 0 => break,
            '{' | '(' | '[' | ',' | '=' if depth == 0 => {
                if word.starts_with(|first: char| first.is_ascii_uppercase()) {
                    names.insert(std::mem::take(&mut word));
                }
                word.clear();
            }
            _ => {}
        }
        match char {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    if !word.is_empty() {
        names.insert(word);
    }
    names
}

fn compare(left: &str, a: &Names, right: &str, b: &Names) -> Vec<String> {
    let only_left = a.difference(b).map(|name| format!("{name}: in {left}, not in {right}"));
    let only_right = b.difference(a).map(|name| format!("{name}: in {right}, not in {left}"));
    only_left.chain(only_right).collect()
}

pub fn rejects(tree: &Tree) -> Findings {
    let file = "orderbook/src/reject.rs";
    let errors = declared(tree, "error");
    let text = tree.text(file);
    let mut findings = compare(INTERFACE, &errors, file, &variants(&text, "Reject"));
    let listed = text.split("ALL:").nth(1).and_then(|after| after.split("];").next()).unwrap_or_default();
    let listed: Names = parts(listed, Language::Rust).strings.into_iter().map(|(_, name)| name).collect();
    // `[&'static str; 28]`: the lifetime is code, the names are the strings.
    findings.extend(compare(INTERFACE, &errors, "Reject::ALL", &listed));
    let page = "web/src/state/rejects.ts";
    if tree.has(page) {
        let text = tree.text(page);
        let missing = errors.iter().filter(|name| !text.contains(name.as_str()) && !text.contains(&snake(name)));
        findings.extend(missing.map(|name| format!("{name}: in {INTERFACE}, not in {page}")));
    }
    Ok(findings)
}

/// `NotLive` -> `not_live`, as in JSON.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for char in name.chars() {
        if char.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

pub fn events(tree: &Tree) -> Findings {
    let file = "orderbook/src/event.rs";
    let events = declared(tree, "event");
    let mut findings = compare(INTERFACE, &events, file, &variants(&tree.text(file), "Event"));
    let document = "docs/contract.md";
    if tree.has(document) {
        let text = tree.text(document);
        findings.extend(events.iter().filter(|name| !text.contains(name.as_str())).map(|name| format!("{name}: not in {document}")));
    }
    Ok(findings)
}

/// As `contracts/build.cjs` computes it: foundry.toml and src/**/*.sol, sorted, each name's bytes and then the file's bytes.
fn source_hash(tree: &Tree) -> Result<String> {
    let mut files: Vec<&str> = tree.below(&["contracts/src"], "sol").collect();
    files.push("contracts/foundry.toml");
    files.sort_unstable();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.trim_start_matches("contracts/"));
        hash.update(fs::read(tree.root.join(file)).with_context(|| format!("cannot read {file}"))?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

pub fn artifacts(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    let artifacts: Vec<&str> = tree.below(&["contracts/artifacts"], "json").collect();
    if artifacts.is_empty() {
        return Ok(if tree.has(INTERFACE) { vec!["contracts/artifacts is empty: run `cargo xtask contracts`".into()] } else { findings });
    }
    let expected = source_hash(tree)?;
    for file in artifacts {
        let artifact: Value = serde_json::from_str(&tree.text(file)).with_context(|| file.to_owned())?;
        if artifact.get("sourceHash").and_then(Value::as_str) != Some(&expected) {
            findings.push(format!("{file} is not of these sources: run `cargo xtask contracts`"));
        }
        let code = artifact.get("deployedBytecode").and_then(Value::as_str).unwrap_or_default();
        let bytes = code.trim_start_matches("0x").len() / 2;
        if bytes > CONTRACT_BYTES_MAX {
            findings.push(format!("{file} has {bytes} bytes, more than the {CONTRACT_BYTES_MAX} a chain accepts"));
        }
    }
    Ok(findings)
}

/// A scenario says what happens (`=>`) and is not cut off; its full parser runs in the order book's tests.
pub fn scenarios(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    for file in tree.below(&["orderbook/testdata"], "book") {
        let text = tree.text(file);
        if !text.lines().any(|line| line.trim_start().starts_with("=>")) {
            findings.push(format!("{file}: no line begins with `=>`: it expects nothing"));
        }
        if !text.ends_with('\n') {
            findings.push(format!("{file}: cut off, no line break at its end"));
        }
        if text.contains('\t') || text.contains('\r') {
            findings.push(format!("{file}: tabs or carriage returns, which drawings do not survive"));
        }
    }
    Ok(findings)
}

/// Keys of hifi.toml, set or shown commented out (`# key = value`), with their table.
fn option_keys(text: &str) -> Vec<(usize, String)> {
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches('#').trim_start();
        let Some((key, _)) = line.split_once('=') else { continue };
        let key = key.trim();
        let plain =
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
        if plain {
            keys.push((at + 1, key.to_owned()));
        }
    }
    keys
}

/// hifi.toml and src/config.rs name the same options.
pub fn options(tree: &Tree) -> Findings {
    let (file, source) = ("hifi.toml", "src/config.rs");
    if !tree.has(file) || !tree.has(source) {
        return Ok(Vec::new());
    }
    let code = parts(&tree.text(source), Language::Rust).code;
    let fields: Names = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'))
        .collect();
    let keys = option_keys(&tree.text(file));
    let unknown = keys.iter().filter(|(_, key)| !fields.contains(&key.replace('-', "_")));
    Ok(unknown.map(|(line, key)| format!("{file}:{line}: {key} is no field in {source}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::planted, *};

    const SOL: (&str, &str) = (
        INTERFACE,
        "interface IExchange {\n  /// error Nope();\n  error NoMarket();\n  error NotLive(uint8 status);\n  event Placed(uint256 id);\n}\n",
    );
    const REJECT: (&str, &str) = (
        "orderbook/src/reject.rs",
        "pub enum Reject {\n  /// A\n  #[error(\"x, {y}\")]\n  NoMarket,\n  NotLive { status: u8 },\n}\nconst ALL: [&'static str; 2] = [\"NoMarket\", \"NotLive\"];\n",
    );
    const EVENT: (&str, &str) =
        ("orderbook/src/event.rs", "pub enum Event {\n  Placed {\n    order: OrderId,\n    at: Option<(u8, u8)>,\n  },\n}\n");

    #[test]
    fn a_reject_in_one_language_only_is_found() {
        let more = SOL.1.replace("error NoMarket();", "error NoMarket(); \n  error Fresh();");
        planted(rejects, &[SOL, REJECT], &[(INTERFACE, &more)], "Fresh");
        let fewer = REJECT.1.replace(", \"NotLive\"", "");
        planted(rejects, &[SOL, REJECT], &[("orderbook/src/reject.rs", &fewer)], "NotLive: in contracts");
        planted(rejects, &[SOL, REJECT], &[("web/src/state/rejects.ts", "{ not_live: 'Closed.' }")], "NoMarket");
    }

    #[test]
    fn an_event_in_one_language_only_is_found() {
        planted(events, &[SOL, EVENT], &[("orderbook/src/event.rs", "pub enum Event {\n Placed(u8),\n Gone,\n}\n")], "Gone");
        planted(events, &[SOL, EVENT], &[("docs/contract.md", "no events here")], "Placed: not in docs");
    }

    #[test]
    fn a_stale_or_fat_artifact_is_found() {
        let sources = [("contracts/foundry.toml", "[profile.default]\n"), ("contracts/src/A.sol", "contract A {}\n")];
        let mut hash = Sha256::new();
        hash.update("foundry.toml[profile.default]\nsrc/A.solcontract A {}\n");
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let artifact = |code: &str| format!("{{\"deployedBytecode\":\"{code}\",\"sourceHash\":\"{hash}\"}}");
        let good = artifact("0x00");
        let fresh = [sources[0], sources[1], ("contracts/artifacts/A.json", good.as_str())];
        planted(artifacts, &fresh, &[("contracts/src/A.sol", "contract A { }\n")], "is not of these sources");
        planted(artifacts, &fresh, &[("contracts/foundry.toml", "")], "is not of these sources");
        let fat = artifact(&format!("0x{}", "00".repeat(CONTRACT_BYTES_MAX + 1)));
        planted(artifacts, &fresh, &[("contracts/artifacts/A.json", &fat)], "24577 bytes");
    }

    #[test]
    fn an_empty_scenario_is_found() {
        let good = ("orderbook/testdata/a.book", "place\n=> placed\n");
        planted(scenarios, &[good], &[("orderbook/testdata/b.book", "place\n")], "b.book: no line");
        planted(scenarios, &[good], &[("orderbook/testdata/b.book", "=> x")], "cut off");
    }

    #[test]
    fn an_option_that_does_not_exist_is_found() {
        let good = [
            ("hifi.toml", "# text: a = b is prose\n[node]\n# block_ms = 100\nfsync = true\n"),
            ("src/config.rs", "pub struct Node {\n  pub block_ms: u64,\n  pub fsync: bool,\n}\n"),
        ];
        planted(options, &good, &[("hifi.toml", "[node]\nblok_ms = 1\n")], "hifi.toml:2: blok_ms");
    }
}

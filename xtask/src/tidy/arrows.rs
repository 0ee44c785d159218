//! Gates over the Cargo manifests: who may know whom.

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::{Findings, Tree};

/// Each crate of ours, its folder, and those of ours it may depend on.
const CRATES: [(&str, &str, &[&str]); 6] = [
    ("node", "node", &[]),
    ("orderbook", "orderbook", &[]),
    ("indexer", "indexer", &["orderbook"]),
    ("api", "api", &["indexer", "orderbook"]),
    ("hifi", "", &["node", "orderbook", "indexer", "api"]),
    ("xtask", "xtask", &[]),
];

fn manifest(tree: &Tree, folder: &str) -> Result<Option<Table>> {
    let file = if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") };
    if !tree.has(&file) {
        return Ok(None);
    }
    tree.text(&file).parse::<Table>().map(Some).with_context(|| file)
}

/// Names in all dependency tables; a renamed dependency counts by its real name.
fn dependencies(manifest: &Table) -> Vec<String> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"].iter().filter_map(|name| manifest.get(*name)?.as_table());
    let named = |(name, value): (&String, &Value)| value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned();
    tables.flat_map(|table| table.iter().map(named)).collect()
}

pub fn crates(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    for (name, folder, allowed) in CRATES {
        let Some(manifest) = manifest(tree, folder)? else { continue };
        for other in dependencies(&manifest) {
            let ours = CRATES.iter().any(|(known, ..)| *known == other);
            if ours && !allowed.contains(&other.as_str()) {
                findings.push(format!("{name} depends on {other}; it may know {allowed:?}"));
            }
        }
    }
    Ok(findings)
}

pub fn lints(tree: &Tree) -> Findings {
    let mut findings = Vec::new();
    for (name, folder, _) in CRATES {
        let Some(manifest) = manifest(tree, folder)? else { continue };
        let takes = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        if takes != Some(true) {
            findings.push(format!("{name} does not take the workspace's lints"));
        }
        if folder.is_empty() {
            let lint = manifest.get("workspace").and_then(|all| all.get("lints")?.get("rust")?.get("unsafe_code")?.as_str());
            if lint != Some("forbid") {
                findings.push(format!("Cargo.toml: unsafe_code is {lint:?}, expected \"forbid\""));
            }
        }
    }
    Ok(findings)
}

/// Crates that bring sockets, files, clocks or tasks with them.
const IMPURE: [&str; 10] = ["tokio", "sqlx", "axum", "hyper", "jsonrpsee", "reqwest", "redb", "rayon", "chrono", "tokio-tungstenite"];

pub fn pure(tree: &Tree) -> Findings {
    let Some(manifest) = manifest(tree, "orderbook")? else { return Ok(Vec::new()) };
    let mut only_normal = manifest.clone();
    only_normal.remove("dev-dependencies");
    let found = dependencies(&only_normal).into_iter().filter(|name| IMPURE.contains(&name.as_str()));
    Ok(found.map(|name| format!("orderbook depends on {name}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::planted, *};

    const ROOT: (&str, &str) = (
        "Cargo.toml",
        "[package]\nname = \"hifi\"\n[lints]\nworkspace = true\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[dependencies]\nnode = { path = \"node\" }\n",
    );
    const NODE: (&str, &str) = ("node/Cargo.toml", "[lints]\nworkspace = true\n[dependencies]\nrevm = \"1\"\n");

    #[test]
    fn a_wrong_arrow_is_found_in_any_table() {
        for text in [
            "[dependencies]\norderbook.workspace = true\n",
            "[dev-dependencies]\nbook = { package = \"orderbook\", path = \"../orderbook\" }\n",
        ] {
            planted(crates, &[ROOT, NODE], &[("node/Cargo.toml", text)], "node depends on orderbook");
        }
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        planted(lints, &[ROOT, NODE], &[("node/Cargo.toml", "[package]\nname = \"node\"\n")], "node does not take");
        planted(lints, &[ROOT, NODE], &[("Cargo.toml", "[lints]\nworkspace = true\n")], "unsafe_code");
    }

    #[test]
    fn an_order_book_with_a_runtime_is_found() {
        let good = ("orderbook/Cargo.toml", "[dependencies]\nthiserror = \"2\"\n[dev-dependencies]\ntokio = \"1\"\n");
        planted(pure, &[good], &[("orderbook/Cargo.toml", "[dependencies]\ntokio = \"1\"\n")], "tokio");
    }
}

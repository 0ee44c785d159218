//! The page: its build, its unit tests, and Chromium against a stack that really runs.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    run::{self, Count, command, count, root, run},
    system,
    test::Stack,
};

/// What the built page depends on.
const SOURCES: [&str; 9] =
    ["src", "public", "licenses", "tools", "index.html", "vite.config.ts", "tsconfig.json", "package.json", "package-lock.json"];

/// Builds web/dist if it is older than its sources; says where it is.
pub fn build() -> Result<PathBuf> {
    let folder = root().join("web");
    let dist = folder.join("dist");
    let key = run::hash_files(&folder, &SOURCES)?;
    let stamp = folder.join("node_modules/.hifi-dist");
    if !dist.join("index.html").exists() {
        let _ = fs::remove_file(&stamp);
    }
    // A page that is already built needs no Node.
    run::once(&stamp, &key, || {
        system::npm_ci(&folder)?;
        run(command("npm", &["run", "build"]).current_dir(&folder))
    })
    .context("cannot build the page (`cargo xtask up --no-web` leaves it out)")?;
    Ok(dist)
}

/// Types and style, build with budget, units, browser.
pub fn test() -> Result<Count> {
    let folder = root().join("web");
    system::npm_ci(&folder)?;
    let npm = |args: &[&str]| {
        let mut npm = command("npm", args);
        npm.current_dir(&folder);
        npm
    };
    let mut counted = count(&mut npm(&["run", "check"]))?;
    build()?;
    counted += count(&mut npm(&["test"]))?;
    let chromium = system::chromium()?;
    let stack = Stack::start()?;
    counted += count(npm(&["run", "e2e"]).env("HIFI_CHROMIUM", chromium).envs(stack.variables()))?;
    stack.stop()?;
    Ok(counted)
}

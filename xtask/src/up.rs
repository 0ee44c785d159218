//! `cargo xtask up`: from a fresh clone to a live page with one command. Builds what is stale, then becomes `hifi up`.

use std::os::unix::process::CommandExt as _;

use anyhow::{Result, anyhow};

use crate::{
    postgres,
    run::{cargo, command, run, target},
    system, web,
};

/// Returns only when something is wrong: a success is `hifi up` in our place.
pub fn up(no_web: bool, arguments: &[String]) -> Result<()> {
    let mut page = None;
    if !no_web {
        page = Some(web::build()?);
    }
    postgres::ensure_there()?;
    system::need(&["cc"], "build-essential", "install a C compiler (apt-get install build-essential, xcode-select --install)")?;
    run(&mut cargo(&["build", "--release", "--package", "hifi", "--bin", "hifi"]))?;
    let mut hifi = command(target().join("release/hifi"), &["up"]);
    if let Some(page) = page {
        println!("page: {}", page.display());
    }
    let error = hifi.args(arguments).exec();
    Err(anyhow!("cannot run hifi: {error}"))
}

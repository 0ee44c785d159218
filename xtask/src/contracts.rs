//! The Foundry project: artifacts and Solidity tests, with the compiler and test runner that npm pins.

use anyhow::Result;

use crate::{
    run::{Count, command, count, root, run},
    system,
};

/// Writes contracts/artifacts from the sources.
pub fn build() -> Result<()> {
    system::npm_ci(&root().join("contracts"))?;
    run(&mut command("node", &["contracts/build.cjs"]))
}

/// The committed artifacts are what the sources give, every planted fault still applies, and the Solidity tests pass.
pub fn test() -> Result<Count> {
    let folder = root().join("contracts");
    system::npm_ci(&folder)?;
    let mut counted = count(&mut command("node", &["contracts/build.cjs", "--check"]))?;
    counted += count(&mut command("node", &["contracts/mutants.cjs", "--check"]))?;
    counted += count(command("node", &["forge.cjs", "test"]).current_dir(&folder).env("FOUNDRY_PROFILE", "test"))?;
    Ok(counted)
}

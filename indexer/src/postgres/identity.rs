//! Which user Postgres runs as. It refuses to be root and refuses users the system does not know.
//! Never changes our own identity: only children get another one.

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use super::PostgresError;

/// The user of the server process, when it is not our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Identity {
    /// As root: `postgres`, else `nobody`. As anybody else: `None`, our own.
    ///
    /// # Errors
    /// [`PostgresError::NoIdentity`] when the user is not in `/etc/passwd`.
    pub fn choose() -> Result<Option<Self>, PostgresError> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::choose_from(rustix::process::geteuid().as_raw(), &passwd)
    }

    fn choose_from(euid: u32, passwd: &str) -> Result<Option<Self>, PostgresError> {
        let users = || passwd.lines().filter_map(Self::parse);
        if euid != 0 {
            // macOS keeps its users elsewhere; there the file lists only system accounts.
            let known = users().any(|user| user.uid == euid) || cfg!(not(target_os = "linux"));
            return if known { Ok(None) } else { Err(PostgresError::NoIdentity { uid: euid }) };
        }
        let named = |name: &str| users().find(|user| user.name == name && user.uid != 0);
        named("postgres").or_else(|| named("nobody")).map(Some).ok_or(PostgresError::NoIdentity { uid: 0 })
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { name, uid, gid })
    }

    /// May this user pass through every directory above `path` (the mode bits say so)?
    pub(super) fn reaches(&self, path: &Path) -> bool {
        path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).all(|dir| {
            let Ok(meta) = fs::metadata(dir) else { return false };
            let shift = if meta.uid() == self.uid {
                6
            } else if meta.gid() == self.gid {
                3
            } else {
                0
            };
            meta.mode() >> shift & 1 == 1
        })
    }
}

/// A command of the server: as the chosen user, in `/`, in English and UTC, without any `PG*` variable.
pub(super) fn command(program: &Path, identity: Option<&Identity>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
    if let Some(Identity { uid, gid, .. }) = identity {
        // The standard library drops root's supplementary groups together with the uid.
        command.gid(*gid).uid(*uid);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n";

    #[test]
    fn root_becomes_postgres_else_nobody() {
        let with_postgres = format!("{PASSWD}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n");
        let chosen = |passwd: &str| Identity::choose_from(0, passwd).unwrap().unwrap();
        assert_eq!(chosen(&with_postgres), Identity { name: "postgres".into(), uid: 101, gid: 104 });
        assert_eq!(chosen(PASSWD), Identity { name: "nobody".into(), uid: 65534, gid: 65533 });
        assert!(matches!(Identity::choose_from(0, "root:x:0:0::/:/bin/sh"), Err(PostgresError::NoIdentity { uid: 0 })));
    }

    #[test]
    fn a_user_stays_itself_and_must_be_known() {
        assert_eq!(Identity::choose_from(1000, PASSWD).unwrap(), None);
        if cfg!(target_os = "linux") {
            assert!(matches!(Identity::choose_from(4711, PASSWD), Err(PostgresError::NoIdentity { uid: 4711 })));
        }
    }

    #[test]
    fn a_closed_parent_is_seen() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let stranger = Identity { name: "stranger".into(), uid: 64_999, gid: 64_999 };
        let inner = dir.path().join("closed");
        fs::create_dir(&inner).unwrap();
        assert!(stranger.reaches(&inner.join("x")), "open all the way");
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.reaches(&inner.join("x")), "one closed parent is enough");
        assert!(stranger.reaches(&inner), "a directory itself is not its parent");
    }
}

//! Where a cluster lives, and who may use it: `<data dir>/postgres/{.lock, data, sock, pg.log}`, mode 0700, owned by the server's user.
//! Another place is taken when that user cannot reach it. Called before anything is started. Never changes modes or owners of directories that are not ours.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown},
    },
    path::{Path, PathBuf},
};

use super::{Identity, PostgresError, settings};

/// Where the cluster goes when the server's user cannot enter the data directory.
const ELSEWHERE: &str = "/var/lib/hifi";
/// Longest path of a unix socket, bytes (the smallest of the systems we know, without its final 0).
const SOCKET_PATH_MAX: usize = 103;

/// The directories of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What the person asked for; names the cluster.
    pub data_dir: PathBuf,
    pub root: PathBuf,
    pub data: PathBuf,
    pub sock: PathBuf,
    pub log: PathBuf,
}

impl Place {
    /// Where the cluster of `data_dir` is, made or not. `data_dir` exists.
    pub fn find(data_dir: &Path, identity: Option<&Identity>) -> Result<Self, PostgresError> {
        let data_dir = fs::canonicalize(data_dir).map_err(PostgresError::io("find", data_dir))?;
        let short = &blake3::hash(data_dir.as_os_str().as_bytes()).to_hex()[..12];
        let beside = data_dir.join("postgres");
        let root = if identity.is_none_or(|user| user.reaches(&beside)) { beside } else { Path::new(ELSEWHERE).join(short) };
        let near = root.join("sock");
        let fits = near.join(settings::SOCKET_FILE).as_os_str().len() <= SOCKET_PATH_MAX;
        let sock = if fits { near } else { env::temp_dir().join(format!("hifi-{short}")) };
        Ok(Self { data: root.join("data"), log: root.join("pg.log"), data_dir, sock, root })
    }

    /// Makes the directories and hands them to the server's user.
    pub fn make(&self, identity: Option<&Identity>) -> Result<(), PostgresError> {
        let elsewhere = self.root.starts_with(ELSEWHERE);
        if elsewhere {
            fs::create_dir_all(ELSEWHERE).map_err(PostgresError::io("create", ELSEWHERE))?;
            sweep(Path::new(ELSEWHERE), &env::temp_dir());
        }
        for dir in [&self.root, &self.sock] {
            private_dir(dir, identity)?;
        }
        if elsewhere {
            let note = self.data_dir.join("postgres.path");
            fs::write(&note, format!("{}\n", self.root.display())).map_err(PostgresError::io("write", &note))?;
            let origin = self.root.join("origin");
            fs::write(&origin, self.data_dir.as_os_str().as_bytes()).map_err(PostgresError::io("write", &origin))?;
        }
        Ok(())
    }

    /// Claims the cluster for this process, for as long as the answer lives.
    ///
    /// # Errors
    /// [`PostgresError::InUse`] with the owner's pid.
    pub fn lock(&self) -> Result<File, PostgresError> {
        let path = self.root.join(".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(PostgresError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(PostgresError::InUse { path: self.root.clone(), pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(PostgresError::Io { what: "lock", path, source }),
        }
        let note = || -> std::io::Result<()> {
            file.set_len(0)?;
            writeln!(&file, "{}", std::process::id())
        };
        note().map_err(PostgresError::io("write", &path))?;
        Ok(file)
    }

    /// Deletes the cluster: an ephemeral one at its end.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.root);
        let _ = fs::remove_dir_all(&self.sock);
        let _ = fs::remove_file(self.data_dir.join("postgres.path"));
    }
}

/// Makes `dir` with mode 0700 for the server's user; one that exists must be that user's already (or ours to give).
fn private_dir(dir: &Path, identity: Option<&Identity>) -> Result<(), PostgresError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(PostgresError::io("create", dir)(error)),
        _ => {}
    }
    let meta = fs::symlink_metadata(dir).map_err(PostgresError::io("read", dir))?;
    let ours = rustix::process::geteuid().as_raw();
    let owner = identity.map_or(ours, |user| user.uid);
    if !meta.is_dir() || (meta.uid() != owner && meta.uid() != ours) {
        let source = std::io::Error::other(format!("it belongs to user id {}, expected {owner}", meta.uid()));
        return Err(PostgresError::Io { what: "use", path: dir.to_owned(), source });
    }
    if let Some(user) = identity {
        chown(dir, Some(user.uid), Some(user.gid)).map_err(PostgresError::io("chown", dir))?;
    }
    Ok(())
}

/// Clusters whose data directory was a temporary one and is gone (a killed test) are deleted, unless somebody holds their lock.
fn sweep(elsewhere: &Path, temporary: &Path) {
    for entry in fs::read_dir(elsewhere).into_iter().flatten().flatten() {
        let Ok(origin) = fs::read(entry.path().join("origin")) else { continue };
        let origin = PathBuf::from(std::ffi::OsStr::from_bytes(&origin));
        if !origin.starts_with(temporary) || origin.exists() {
            continue;
        }
        let free = File::open(entry.path().join(".lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if free && super::pidfile::end_orphan(&entry.path().join("data")).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_the_data_unless_the_path_is_long() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::find(dir.path(), None).unwrap();
        assert_eq!(place.data, fs::canonicalize(dir.path()).unwrap().join("postgres/data"));
        assert_eq!(place.sock, place.root.join("sock"));
        let long = dir.path().join("x".repeat(100));
        fs::create_dir(&long).unwrap();
        let place = Place::find(&long, None).unwrap();
        assert!(place.root.starts_with(fs::canonicalize(&long).unwrap()), "only the socket moves");
        assert!(place.sock.as_os_str().len() < 60 && place.sock.starts_with(env::temp_dir()), "{:?}", place.sock);
    }

    #[test]
    fn elsewhere_when_the_user_cannot_enter() {
        use std::os::unix::fs::PermissionsExt as _;
        let closed = fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(closed).tempdir().unwrap();
        let stranger = Identity { name: "stranger".into(), uid: 64_999, gid: 64_999 };
        let place = Place::find(dir.path(), Some(&stranger)).unwrap();
        assert!(place.root.starts_with(ELSEWHERE), "{:?}", place.root);
    }

    #[test]
    fn a_second_lock_names_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::find(dir.path(), None).unwrap();
        fs::create_dir(&place.root).unwrap();
        let held = place.lock().unwrap();
        let error = place.lock().unwrap_err();
        assert!(matches!(&error, PostgresError::InUse { pid, .. } if *pid == std::process::id().to_string()), "{error}");
        drop(held);
        place.lock().expect("free again");
    }

    #[test]
    fn only_lost_temporary_clusters_are_swept() {
        let elsewhere = tempfile::tempdir().unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let cluster = |name: &str, origin: &Path| {
            let dir = elsewhere.path().join(name);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("origin"), origin.as_os_str().as_bytes()).unwrap();
            fs::write(dir.join(".lock"), "1").unwrap();
            dir
        };
        let lost = cluster("lost", &temporary.path().join("gone"));
        let alive = cluster("alive", temporary.path());
        let unmounted = cluster("unmounted", Path::new("/no/such/disk"));
        let held = cluster("held", &temporary.path().join("gone too"));
        let lock = File::open(held.join(".lock")).unwrap();
        lock.lock().unwrap();
        sweep(elsewhere.path(), temporary.path());
        assert_eq!([&lost, &alive, &unmounted, &held].map(|dir| dir.exists()), [false, true, true, true]);
    }
}

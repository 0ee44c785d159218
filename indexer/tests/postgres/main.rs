//! The managed Postgres with real processes: `managed_postgres run DIR` is the hifi that is stopped, killed and started twice.
//! Goal of each test is its name; the method is always to look at real pids, real files and a real connection.
//! Needs Postgres binaries; works as root and as a user.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_managed_postgres");
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `managed_postgres run`.
struct Run {
    child: Child,
    /// Open as long as the program runs: it may print.
    _output: std::process::ChildStdout,
    url: String,
    pid: u32,
}

impl Run {
    fn start(dir: &Path, flags: &[&str]) -> Self {
        Self::when_ready(spawn(dir, flags), dir)
    }

    /// Reads the two lines of a program that was spawned before.
    fn when_ready(mut child: Child, dir: &Path) -> Self {
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut word = |name: &str| {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            if line.is_empty() {
                let words = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
                panic!("ended before `{name}`: {words}\n{}", tail(dir));
            }
            line.strip_prefix(name).unwrap().trim().to_owned()
        };
        let url = word("url ");
        let pid = word("pid ").parse().unwrap();
        Self { child, _output: output.into_inner(), url, pid }
    }

    async fn query<T>(&self, sql: &'static str) -> T
    where
        T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
    {
        let mut connection = PgConnection::connect(&self.url).await.expect("a ready server takes connections");
        let value = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        value
    }

    /// Ends it the polite way, by the end of its input.
    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        assert!(!alive(self.pid), "postgres ends with its parent");
    }

    fn kill_9(mut self) -> u32 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.pid
    }
}

fn spawn(dir: &Path, flags: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg(dir).args(flags).env_remove("DATABASE_URL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A data directory that goes at the end, with the cluster that may live elsewhere.
fn data_dir() -> TempDir {
    tempfile::Builder::new().prefix("hifi-pg-").tempdir().unwrap()
}

/// `<dir>/postgres`, or the place `postgres.path` names.
fn cluster(dir: &Path) -> PathBuf {
    match fs::read_to_string(dir.join("postgres.path")) {
        Ok(path) => PathBuf::from(path.trim()),
        Err(_) => dir.join("postgres"),
    }
}

/// Clusters of a closed parent lie outside the temporary directory: delete them too.
struct Sweep(PathBuf);
impl Drop for Sweep {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(cluster(&self.0));
    }
}

fn tail(dir: &Path) -> String {
    fs::read_to_string(cluster(dir).join("pg.log")).unwrap_or_default()
}

fn alive(pid: u32) -> bool {
    // A zombie that nobody reaped yet is as good as gone.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Looks until `done` holds.
fn wait_until(what: &str, done: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
    began.elapsed()
}

#[tokio::test]
async fn a_start_a_stop_and_a_second_start_keep_the_rows() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let run = Run::start(dir.path(), &[]);
    assert_eq!(run.query::<String>("select current_database()::text").await, "hifi");
    assert_eq!(run.query::<String>("select current_user::text").await, "hifi");
    assert_eq!(run.query::<String>("show listen_addresses").await, "", "no TCP port");
    assert_eq!(run.query::<String>("show fsync").await, "on");
    run.query::<i32>("with made as (select set_config('a.b', 'c', false)) select 1 from made").await;
    let mut connection = PgConnection::connect(&run.url).await.unwrap();
    sqlx::query("create table kept as select 42 as answer").execute(&mut connection).await.unwrap();
    // Not closed: a stop must not wait for idle clients.
    run.stop();
    let again = Run::start(dir.path(), &[]);
    assert_eq!(again.query::<i32>("select answer from kept").await, 42);
    assert!(!tail(dir.path()).contains("database system was interrupted"), "the first stop was clean");
    again.stop();
}

#[tokio::test]
async fn kill_9_of_the_parent_takes_postgres_down_cleanly() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let run = Run::start(dir.path(), &[]);
    let mut connection = PgConnection::connect(&run.url).await.unwrap();
    sqlx::query("create table kept as select 7 as answer").execute(&mut connection).await.unwrap();
    let pid = run.kill_9();
    let took = wait_until("postgres is gone", || !alive(pid));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let again = Run::start(dir.path(), &[]);
    assert_eq!(again.query::<i32>("select answer from kept").await, 7);
    let log = tail(dir.path());
    assert!(!log.contains("not properly shut down"), "a fast shutdown leaves nothing to recover:\n{log}");
    again.stop();
}

#[tokio::test]
async fn everything_killed_at_once_starts_again_at_once() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let mut run = Run::start(dir.path(), &[]);
    for _ in 0..5 {
        // Parent and postmaster in one call, and no pause: what dies may be a zombie, and its files are there.
        let pids = [run.child.id().to_string(), run.pid.to_string()];
        assert!(Command::new("kill").arg("-KILL").args(&pids).status().unwrap().success());
        run.child.wait().unwrap();
        run = Run::start(dir.path(), &[]);
        assert_eq!(run.query::<i32>("select 1").await, 1);
    }
    run.stop();
}

#[test]
fn what_a_killed_server_left_beside_its_socket_does_not_matter() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    Run::start(dir.path(), &[]).stop();
    // A living process of any user: number 1 and this test.
    for pid in [1, std::process::id()] {
        let lock = cluster(dir.path()).join("sock/.s.PGSQL.5432.lock");
        fs::write(&lock, format!("{pid}\n/nowhere\n1\n5432\n\n\n")).unwrap();
        own_as(&lock, lock.parent().unwrap());
        Run::start(dir.path(), &[]).stop();
    }
}

#[tokio::test]
async fn a_killed_postmaster_is_started_again() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let run = Run::start(dir.path(), &[]);
    signal(run.pid, "KILL");
    let owner = || fs::read_to_string(cluster(dir.path()).join("data/postmaster.pid")).unwrap_or_default();
    let first = run.pid.to_string();
    wait_until("another postmaster is ready", || {
        let text = owner();
        text.lines().next().is_some_and(|pid| pid != first) && text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
    });
    assert_eq!(run.query::<i32>("select 1").await, 1);
    let second: u32 = owner().lines().next().unwrap().parse().unwrap();
    run.stop();
    assert!(!alive(second), "the one started again ends with its parent too");
}

#[tokio::test]
async fn stale_pid_files_do_not_matter() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let run = Run::start(dir.path(), &[]);
    run.stop();
    let pidfile = cluster(dir.path()).join("data/postmaster.pid");
    // A dead process, then a living one that is no postgres (this test: a signal would end it).
    for pid in [dead_pid(), std::process::id()] {
        fs::write(&pidfile, format!("{pid}\n{}\n1\n5432\n\n\n\nready\n", pidfile.parent().unwrap().display())).unwrap();
        own_as(&pidfile, pidfile.parent().unwrap());
        let again = Run::start(dir.path(), &[]);
        assert_ne!(again.pid, pid);
        assert_eq!(again.query::<i32>("select 1").await, 1);
        again.stop();
    }
}

#[tokio::test]
async fn an_orphan_is_ended_and_its_rows_are_there() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let run = Run::start(dir.path(), &[]);
    let mut connection = PgConnection::connect(&run.url).await.unwrap();
    sqlx::query("create table kept as select 9 as answer").execute(&mut connection).await.unwrap();
    // Stopped before the parent dies, the postmaster cannot obey its death signal until somebody wakes it.
    signal(run.pid, "STOP");
    let orphan = run.kill_9();
    assert!(alive(orphan));
    let start = spawn(dir.path(), &[]);
    signal(orphan, "CONT");
    let again = Run::when_ready(start, dir.path());
    assert!(!alive(orphan));
    assert_ne!(again.pid, orphan, "never adopted");
    assert_eq!(again.query::<i32>("select answer from kept").await, 9);
    again.stop();
}

#[tokio::test]
async fn a_second_start_is_refused_by_the_first_ones_pid() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let run = Run::start(dir.path(), &[]);
    let second = spawn(dir.path(), &[]).wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success());
    assert!(words.contains("already in use by pid") && words.contains(&run.child.id().to_string()), "{words}");
    assert_eq!(run.query::<i32>("select 1").await, 1, "the first is untouched");
    run.stop();
}

#[tokio::test]
async fn two_starts_at_once_make_one_cluster() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let runs = [spawn(dir.path(), &[]), spawn(dir.path(), &[])];
    let mut won = Vec::new();
    let mut lost = Vec::new();
    for mut child in runs {
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        if line.starts_with("url ") { won.push((child, output)) } else { lost.push(child.wait_with_output().unwrap()) }
    }
    assert_eq!((won.len(), lost.len()), (1, 1));
    assert!(String::from_utf8_lossy(&lost[0].stderr).contains("already in use"), "{}", String::from_utf8_lossy(&lost[0].stderr));
    let (mut winner, _output) = won.remove(0);
    drop(winner.stdin.take());
    assert!(winner.wait().unwrap().success());
}

#[tokio::test]
async fn an_ephemeral_cluster_is_fast_and_leaves_nothing() {
    let dir = data_dir();
    let run = Run::start(dir.path(), &["--ephemeral"]);
    assert_eq!(run.query::<String>("show fsync").await, "off");
    let place = cluster(dir.path());
    assert!(place.exists());
    run.stop();
    assert!(!place.exists(), "{place:?} is deleted");
}

#[tokio::test]
async fn killed_during_initdb_the_next_start_works() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    let mut child = spawn(dir.path(), &[]);
    let drafts = || {
        let entries = fs::read_dir(cluster(dir.path())).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("data.init.")).collect::<Vec<_>>()
    };
    wait_until("initdb runs", || drafts().iter().any(|draft| draft.join("base").exists()));
    child.kill().unwrap();
    child.wait().unwrap();
    let run = Run::start(dir.path(), &[]);
    assert_eq!(run.query::<i32>("select 1").await, 1);
    run.stop();
    wait_until("the killed initdb has cleared up, or the next start did", || {
        drafts().is_empty() || {
            Run::start(dir.path(), &[]).stop();
            false
        }
    });
}

#[test]
fn a_cluster_of_another_major_is_refused_in_one_line() {
    let dir = data_dir();
    let _sweep = Sweep(dir.path().to_owned());
    Run::start(dir.path(), &[]).stop();
    fs::write(cluster(dir.path()).join("data/PG_VERSION"), "14\n").unwrap();
    let refused = spawn(dir.path(), &[]).wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{words}");
    assert!(words.contains("made by Postgres 14") && words.trim().lines().count() == 1, "{words}");
}

#[test]
fn without_binaries_one_line_says_what_to_do() {
    let dir = data_dir();
    let empty = tempfile::tempdir().unwrap();
    let output =
        Command::new(PROGRAM).arg("run").arg(dir.path()).env("HIFI_PG_BIN", empty.path()).env_remove("DATABASE_URL").output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{words}");
    assert!(words.contains("no usable Postgres") && words.trim().lines().count() == 1, "{words}");
}

#[tokio::test]
async fn an_external_server_is_used_and_left_alone() {
    let dir = data_dir();
    let server = Run::start(dir.path(), &["--ephemeral"]);
    let other = data_dir();
    let config = indexer::postgres::Config { external: Some(server.url.clone()), ..indexer::postgres::Config::managed(other.path()) };
    let used = indexer::postgres::start(config).await.unwrap();
    assert_eq!((used.pid(), used.url()), (None, server.url.as_str()));
    used.stop().await;
    assert_eq!(server.query::<i32>("select 1").await, 1, "not ours to stop");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0, "nothing was made");
    server.stop();
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// The number of a process that has just ended.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// Gives `file` to the owner of `like`, as Postgres would have left it.
fn own_as(file: &Path, like: &Path) {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let meta = fs::metadata(like).unwrap();
    chown(file, Some(meta.uid()), Some(meta.gid())).unwrap();
}

//! Reads `postmaster.pid`, and ends servers that outlived the hifi that started them. Only called while the cluster's lock is held,
//! so a server found here belongs to nobody. Never signals a process that is not a Postgres of this very directory.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::PostgresError;

/// The postmaster's process id (line 1), if the file is there and whole enough.
fn pid(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// Does the file belong to process `child`, and does its line 8 say `ready`?
pub(super) fn ready(data: &Path, child: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = text.lines();
    let owner = lines.next().and_then(|line| line.trim().parse::<u32>().ok());
    owner == Some(child) && lines.nth(6).is_some_and(|status| status.trim() == "ready")
}

/// Ends an orphaned postmaster of `data`: SIGINT, after 20 s SIGQUIT. `false` when there is none.
/// A dead pid is left to Postgres, which clears the file itself. A number that meanwhile belongs to another program of the same user would
/// make Postgres refuse to start: that file is deleted, and Postgres' own look at the shared memory still guards the cluster.
pub(super) fn end_orphan(data: &Path) -> Result<bool, PostgresError> {
    let Some(orphan) = pid(data) else { return Ok(false) };
    if !is_postgres_of(orphan, data) {
        if cfg!(target_os = "linux") && Path::new(&format!("/proc/{orphan}")).exists() {
            let file = data.join("postmaster.pid");
            fs::remove_file(&file).map_err(PostgresError::io("delete", &file))?;
        }
        return Ok(false);
    }
    tracing::warn!(pid = orphan, "ending a postgres that outlived its hifi");
    for (signal, patience) in [(Signal::INT, Duration::from_secs(20)), (Signal::QUIT, Duration::from_secs(5))] {
        send(orphan, signal);
        if gone(patience, || !is_postgres_of(orphan, data)) {
            return Ok(true);
        }
    }
    Err(PostgresError::Orphan { pid: orphan, path: data.to_owned() })
}

/// Deletes what a killed server left beside its socket. Its lock file names a process that may still be a zombie, or whose number somebody else
/// has by now; either would make Postgres refuse. The directory is ours alone, and with the cluster's lock held nobody listens there.
pub(super) fn clear_socket(sock: &Path) {
    for left in [super::settings::SOCKET_FILE.to_owned(), format!("{}.lock", super::settings::SOCKET_FILE)] {
        let _ = fs::remove_file(sock.join(left));
    }
}

/// Ends every process that works in `data`: backends that outlived their postmaster and hold its shared memory.
pub(super) fn end_backends(data: &Path) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if is_postgres_of(pid, data) {
            send(pid, Signal::TERM);
        }
    }
}

pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Looks each 10 ms until `done` holds, at most for `patience`.
fn gone(patience: Duration, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Is `pid` alive, named `postgres`, and at work in `data`? Elsewhere than on Linux the name must do.
fn is_postgres_of(pid: u32, data: &Path) -> bool {
    if cfg!(target_os = "linux") {
        let named = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "postgres");
        let here = || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| fs::canonicalize(data).is_ok_and(|data| data == cwd));
        return named && here();
    }
    let alive = i32::try_from(pid).ok().and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok());
    let name = || std::process::Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    alive && name().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_the_right_owner_and_the_eighth_line() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(dir.path().join("postmaster.pid"), text).unwrap();
        assert!(!ready(dir.path(), 7), "no file yet");
        write("7\n/data\n1700000000\n5432\n/sock\n\n  5432001    163840\nstarting\n");
        assert!(!ready(dir.path(), 7));
        write("7\n/data\n1700000000\n5432\n/sock\n\n  5432001    163840\nready   \n");
        assert!(ready(dir.path(), 7));
        assert!(!ready(dir.path(), 8), "left by another server");
    }

    #[test]
    fn a_reused_pid_is_not_signalled() {
        let dir = tempfile::tempdir().unwrap();
        // This very test: alive, but no postgres. A signal would end it.
        fs::write(dir.path().join("postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
        assert!(!end_orphan(dir.path()).unwrap());
        let left = dir.path().join("postmaster.pid").exists();
        assert_eq!(left, cfg!(not(target_os = "linux")), "Postgres would take it for its own");
    }
}

//! Runs the server and keeps it running: one thread that lives as long as the server does, because the kernel ties the server's life to the
//! thread that started it. Restarts after a crash with growing pauses; stops on request. Never reports ready before Postgres itself says so.
//!
//! ```text
//! Starting -> Ready -> Down (crashed; 0.2 s doubling to 5 s, a minute after 5 crashes in one) -> Starting ...
//!                 \-> Stopped (asked for; or the first start failed)
//! ```

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use tokio::sync::watch;

use super::{Config, Identity, PostgresError, guard, init, locate::Binaries, pidfile, place::Place, settings};

const READY_WITHIN: Duration = Duration::from_secs(60);
const RESTART_FIRST: Duration = Duration::from_millis(200);
const RESTART_LAST: Duration = Duration::from_secs(5);
/// This many crashes within [`CRASHES_WITHIN`] and we try only once in that time.
const CRASHES_MAX: usize = 5;
const CRASHES_WITHIN: Duration = Duration::from_secs(60);
/// `pg.log` is rotated at a start when it is larger, bytes; this many old ones stay.
const LOG_BYTES_MAX: u64 = 64 << 20;
const LOGS_KEPT: u32 = 4;

/// What the managed server does right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Starting,
    Ready {
        pid: u32,
    },
    /// Crashed; another start follows.
    Down {
        crashes: usize,
        log: String,
    },
    /// The first start failed: nothing follows.
    Failed {
        status: String,
        log: String,
    },
    Stopped,
}

/// The handle by which other threads end the server.
#[derive(Debug, Default)]
pub(super) struct Supervised {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    stopping: bool,
    /// Set while the child runs and is not reaped: a signal can only reach it.
    pid: Option<u32>,
}

impl Supervised {
    pub fn stop(&self) {
        let mut inner = self.inner.lock();
        if !inner.stopping {
            inner.stopping = true;
            inner.pid.into_iter().for_each(|pid| pidfile::send(pid, Signal::INT));
            self.wake.notify_all();
        }
    }

    pub fn quit(&self) {
        self.inner.lock().pid.into_iter().for_each(|pid| pidfile::send(pid, Signal::QUIT));
    }

    /// Waits `pause`, less when asked to stop; says whether it was.
    fn pause(&self, pause: Duration) -> bool {
        let mut inner = self.inner.lock();
        self.wake.wait_while_for(&mut inner, |inner| !inner.stopping, pause);
        inner.stopping
    }
}

/// Everything the thread needs to start the server again.
struct Plan {
    place: Place,
    binaries: Binaries,
    identity: Option<Identity>,
    guard_exe: Option<PathBuf>,
    ephemeral: bool,
    _lock: File,
}

type Started = (Place, Arc<Supervised>, watch::Receiver<State>);

/// Finds binaries and directories, makes the cluster if it is new, ends what an earlier life left, and starts the thread.
pub(super) fn prepare_and_spawn(config: Config) -> Result<Started, PostgresError> {
    fs::create_dir_all(&config.data_dir).map_err(PostgresError::io("create", &config.data_dir))?;
    let identity = Identity::choose()?;
    let place = Place::find(&config.data_dir, identity.as_ref())?;
    let made_by = init::made_by(&place.data).and_then(|major| major.parse().ok());
    let binaries = super::locate(config.pg_bin.as_deref(), identity.as_ref(), made_by)?;
    place.make(identity.as_ref())?;
    let lock = place.lock()?;
    pidfile::end_orphan(&place.data)?;
    pidfile::clear_socket(&place.sock);
    init::ensure(&place, &binaries, identity.as_ref(), config.guard.as_deref(), config.ephemeral)?;
    let plan = Plan { place: place.clone(), binaries, identity, guard_exe: config.guard, ephemeral: config.ephemeral, _lock: lock };
    let child = Arc::new(Supervised::default());
    let (sender, receiver) = watch::channel(State::Starting);
    let shared = child.clone();
    let spawned = thread::Builder::new().name("postgres".into()).spawn(move || plan.live(&shared, &sender));
    spawned.map_err(PostgresError::io("start a thread for", &place.root))?;
    Ok((place, child, receiver))
}

/// Waits for the first start to end one way or the other.
pub(super) async fn first_ready(mut state: watch::Receiver<State>) -> Result<(), PostgresError> {
    let over = |state: &State| matches!(state, State::Ready { .. } | State::Failed { .. } | State::Stopped);
    let state = state.wait_for(over).await.map(|state| state.clone()).unwrap_or(State::Stopped);
    match state {
        State::Ready { .. } => Ok(()),
        State::Failed { status, log } if status.is_empty() => Err(PostgresError::Slow { log }),
        State::Failed { status, log } => Err(PostgresError::Start { status, log }),
        _ => Err(PostgresError::Start { status: "stopped".into(), log: String::new() }),
    }
}

impl Plan {
    /// The thread's whole life.
    fn live(self, shared: &Supervised, state: &watch::Sender<State>) {
        let end = self.supervise(shared, state);
        if self.ephemeral {
            self.place.remove();
        }
        drop(self);
        state.send_replace(end);
    }

    /// Starts the server again and again; the state it ends in.
    fn supervise(&self, shared: &Supervised, state: &watch::Sender<State>) -> State {
        let mut crashes: VecDeque<Instant> = VecDeque::with_capacity(CRASHES_MAX + 1);
        let mut pause = RESTART_FIRST;
        let mut first = true;
        loop {
            let began = Instant::now();
            let ended = self.run_once(shared, state, first);
            if shared.inner.lock().stopping {
                break;
            }
            let log = self.log_tail();
            let status = match ended {
                Ok(status) => status.to_string(),
                Err(Trouble::Slow) => String::new(),
                Err(Trouble::Spawn(error)) => error.to_string(),
            };
            if first && !matches!(*state.borrow(), State::Ready { .. }) {
                return State::Failed { status, log };
            }
            first = false;
            crashes.push_back(Instant::now());
            crashes.retain(|crash| crash.elapsed() < CRASHES_WITHIN);
            if began.elapsed() > CRASHES_WITHIN {
                pause = RESTART_FIRST;
            }
            if crashes.len() >= CRASHES_MAX {
                tracing::error!(crashes = crashes.len(), %log, "postgres keeps ending, trying once a minute");
                pause = CRASHES_WITHIN;
            } else {
                tracing::warn!(%status, pause_ms = pause.as_millis(), "postgres ended, starting it again");
            }
            state.send_replace(State::Down { crashes: crashes.len(), log });
            if shared.pause(pause) {
                break;
            }
            pause = (pause * 2).min(RESTART_LAST);
            state.send_replace(State::Starting);
        }
        State::Stopped
    }

    /// One life of the server, from spawn to reaping.
    fn run_once(&self, shared: &Supervised, state: &watch::Sender<State>, first: bool) -> Result<ExitStatus, Trouble> {
        let patience = Instant::now() + READY_WITHIN;
        loop {
            let mut child = self.spawn(shared).map_err(Trouble::Spawn)?;
            let pid = child.id();
            let ready = self.wait_ready(&mut child, shared, patience)?;
            if ready {
                state.send_replace(State::Ready { pid });
            }
            let status = reap(&mut child, shared).map_err(Trouble::Spawn)?;
            // An earlier life may hold the shared memory (a backend) or the socket (a postmaster about to exit) for a while:
            // end what is left of it and try again, as part of this start.
            let tail = self.log_tail();
            let held = !ready
                && (tail.contains("pre-existing shared memory block") || (tail.contains("lock file") && tail.contains("already exists")));
            if !held || Instant::now() > patience || shared.inner.lock().stopping {
                return Ok(status);
            }
            tracing::warn!(first, "something of an earlier Postgres is still here, ending it");
            pidfile::end_backends(&self.place.data);
            if shared.pause(RESTART_FIRST) {
                return Ok(status);
            }
        }
    }

    fn spawn(&self, shared: &Supervised) -> std::io::Result<Child> {
        rotate(&self.place.log);
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.place.log)?;
        let mut command = guard::command(self.guard_exe.as_deref(), self.identity.as_ref(), &self.binaries.program("postgres"));
        command.args(settings::arguments(&self.place.data, &self.place.sock, self.ephemeral));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Under the lock: a stop that comes now sees the pid, one that came before prevents the start.
        let mut inner = shared.inner.lock();
        if inner.stopping {
            return Err(std::io::Error::other("asked to stop"));
        }
        let child = command.spawn()?;
        inner.pid = Some(child.id());
        Ok(child)
    }

    /// `true` when ready, `false` when it ended before; a server that is neither after a minute is ended.
    fn wait_ready(&self, child: &mut Child, shared: &Supervised, patience: Instant) -> Result<bool, Trouble> {
        loop {
            if pidfile::ready(&self.place.data, child.id()) {
                return Ok(true);
            }
            if exited(child.id(), WaitIdOptions::NOHANG) {
                return Ok(false);
            }
            if Instant::now() > patience {
                pidfile::send(child.id(), Signal::QUIT);
                let _ = reap(child, shared);
                return Err(Trouble::Slow);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn log_tail(&self) -> String {
        last_lines(&fs::read_to_string(&self.place.log).unwrap_or_default())
    }
}

enum Trouble {
    /// Not ready after [`READY_WITHIN`].
    Slow,
    Spawn(std::io::Error),
}

/// Has the child ended? It stays a zombie, so its pid cannot be given to anybody else.
fn exited(pid: u32, how: WaitIdOptions) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | how) {
            Ok(status) => return status.is_some(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// Waits for the end, then takes the pid from the handle before the kernel may give it to another process.
fn reap(child: &mut Child, shared: &Supervised) -> std::io::Result<ExitStatus> {
    exited(child.id(), WaitIdOptions::empty());
    let mut inner = shared.inner.lock();
    inner.pid = None;
    child.wait()
}

/// `pg.log` -> `pg.log.1` -> ... when it has grown.
fn rotate(log: &Path) {
    if fs::metadata(log).map_or(0, |meta| meta.len()) <= LOG_BYTES_MAX {
        return;
    }
    let old = |n: u32| log.with_extension(format!("log.{n}"));
    for n in (1..LOGS_KEPT).rev() {
        let _ = fs::rename(old(n), old(n + 1));
    }
    let _ = fs::rename(log, old(1));
}

/// The last 5 lines that say something, on one line.
pub(super) fn last_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(5).collect();
    lines.reverse();
    lines.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_logs_move_on_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("pg.log");
        for n in 1..=6 {
            File::create(&log).unwrap().set_len(LOG_BYTES_MAX + n).unwrap();
            rotate(&log);
        }
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["pg.log.1", "pg.log.2", "pg.log.3", "pg.log.4"]);
        assert_eq!(fs::metadata(dir.path().join("pg.log.1")).unwrap().len(), LOG_BYTES_MAX + 6);
        File::create(&log).unwrap();
        rotate(&log);
        assert!(log.exists(), "a small one stays");
    }

    #[test]
    fn a_log_is_told_by_its_end() {
        assert_eq!(last_lines("1\n2\n\n3\n4\n5\n6\n"), "2 | 3 | 4 | 5 | 6");
    }
}

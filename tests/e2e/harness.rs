//! Starts the real program in a temporary folder on free ports, waits for what it says, and ends it, gently or by kill -9.

use hifi::client::Rpc;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a start may take on a loaded machine.
const START: Duration = Duration::from_secs(90);

/// A running `hifi up`.
pub struct Up {
    child: Child,
    pub rpc_url: String,
    pub stream_url: String,
    pub api_url: String,
    pub postgres_url: String,
}

/// The program under test.
pub fn hifi() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hifi"))
}

/// A temporary data directory, removed at the end.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("hifi-e2e-").tempdir().expect("a temporary folder")
}

impl Up {
    /// `hifi up` with further flags; returns once everything is ready. Panics with what it said if it ends before.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Up {
        let ready = data_dir.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let mut child = hifi()
            .args(["up", "--rpc-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--stream-addr", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .arg("--ready-file")
            .arg(&ready)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the program starts");
        let lines = follow(child.stdout.take().expect("piped"));
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(START) {
                Ok(line) if line.starts_with("ready") => break,
                Ok(line) => said.push(line),
                Err(error) => {
                    let _ = child.kill();
                    panic!("hifi up did not get ready ({error}); it said:\n{}", said.join("\n"));
                }
            }
        }
        let facts: Value = serde_json::from_str(&std::fs::read_to_string(&ready).expect("the ready file")).expect("JSON");
        let fact = |name: &str| facts[name].as_str().expect(name).to_owned();
        Up { child, rpc_url: fact("rpc"), stream_url: fact("stream"), api_url: fact("api"), postgres_url: fact("postgres") }
    }

    pub fn rpc(&self) -> Rpc {
        Rpc::new(&self.rpc_url).expect("its own URL")
    }

    /// SIGTERM, then its exit.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.child.id(), "TERM");
        self.child.wait().expect("it ends")
    }

    /// kill -9 of the program and, if asked, of every process it started.
    pub fn kill(mut self, with_children: bool) {
        let children = if with_children { descendants(self.child.id()) } else { Vec::new() };
        signal(self.child.id(), "KILL");
        for pid in children {
            signal(pid, "KILL");
        }
        self.child.wait().expect("it ends");
    }

    /// GET of the API as JSON.
    pub fn get(&self, path: &str) -> Value {
        get(&self.api_url, path)
    }

    /// One value of one SQL statement in its Postgres.
    pub fn sql(&self, statement: &str) -> String {
        sql(&self.postgres_url, statement)
    }
}

/// A test that fails leaves nothing running.
impl Drop for Up {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// GET as JSON.
pub fn get(url: &str, path: &str) -> Value {
    let output = Command::new("curl").args(["-sS", "--max-time", "20", &format!("{url}{path}")]).output().expect("curl");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("GET {path}: {error}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

/// A part of hifi as a process of its own.
pub struct Process {
    child: Child,
    said: Vec<String>,
}

impl Process {
    /// Starts it and waits until it says that it is ready.
    pub fn start(args: &[&str]) -> Process {
        let mut child = hifi().args(args).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn().expect("the program starts");
        let lines = follow(child.stdout.take().expect("piped"));
        let mut process = Process { child, said: Vec::new() };
        while !process.said.last().is_some_and(|line| line.starts_with("ready")) {
            let line = lines.recv_timeout(START);
            process.said.push(line.unwrap_or_else(|error| panic!("{args:?} did not get ready ({error}): {:?}", process.said)));
        }
        process
    }

    /// The first URL it said after `mark` (which ends in the URL's scheme), e.g. `http://` or `blocks at ws://`.
    pub fn address(&self, mark: &str) -> String {
        let scheme = mark.rsplit(' ').next().expect("a mark");
        let rest = self.said.iter().find_map(|line| line.split_once(mark)).expect(mark).1;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:".contains(c))).unwrap_or(rest.len());
        format!("{scheme}{}", &rest[..end])
    }

    /// SIGTERM, then its exit.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.child.id(), "TERM");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Runs psql; panics with its message.
pub fn sql(url: &str, statement: &str) -> String {
    let output = Command::new("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url]).output().expect("psql");
    assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Output {
    hifi().args(args).stdin(Stdio::null()).output().expect("the program starts")
}

/// Standard output and error, for messages.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A runtime for the async client in a plain test.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// The real tape, if this machine has it; else says why the test is skipped.
pub fn tape() -> Option<PathBuf> {
    let dir = std::env::var_os("HIFI_TAPE_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let tape = dir.join("btcusd-2015-05-01.csv");
    if tape.exists() {
        return Some(tape);
    }
    eprintln!("skipped: no tape at {} (set HIFI_TAPE_DIR)", tape.display());
    None
}

fn follow(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                // Nobody listens any more; keep reading so that the child can write.
                continue;
            }
        }
    });
    receive
}

/// kill -9 of whatever still runs.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        for pid in descendants(child.id()).into_iter().chain([child.id()]) {
            signal(pid, "KILL");
        }
        let _ = child.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

fn descendants(pid: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-e", "-o", "pid=,ppid="]).output().expect("ps");
    let table: Vec<(u32, u32)> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace().map(str::parse);
            Some((columns.next()?.ok()?, columns.next()?.ok()?))
        })
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(table.iter().filter(|(_, p)| *p == parent).map(|(c, _)| *c));
        next += 1;
    }
    found.split_off(1)
}

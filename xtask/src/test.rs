//! `cargo xtask test`: every check of the project in one run, the quick ones first. Prints the time of each step; its last line, alone, is
//! `N passed, N failed`. Stops at the first failing step unless told to go on. Uses one cargo profile, so that everything is compiled once.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{
    Step, contracts,
    postgres::{self, Ephemeral, TempDir},
    run::{Count, cargo, command, count, hash_files, once, root, run, target},
    system, tidy, web,
};

/// A part of a step with a time of its own in the table.
type Part = (&'static str, fn() -> Result<Count>);

fn parts(step: Step) -> Vec<Part> {
    match step {
        Step::Tidy => vec![("tidy", tidy::count)],
        Step::Contracts => vec![("contracts", contracts::test)],
        Step::Rust => vec![("rustfmt", rustfmt), ("build", build), ("rust tests", rust_tests), ("clippy", clippy)],
        Step::Web => vec![("web", web::test)],
        Step::Clients => vec![("clients", clients)],
    }
}

/// Runs the steps (all when none is named), prints the table and the final count.
pub fn test(steps: &[Step], keep_going: bool) -> Result<()> {
    const ALL: [Step; 5] = [Step::Tidy, Step::Contracts, Step::Rust, Step::Web, Step::Clients];
    let chosen: Vec<Step> = ALL.into_iter().filter(|step| steps.is_empty() || steps.contains(step)).collect();
    let began = Instant::now();
    let mut table: Vec<(&str, Duration, Count)> = Vec::new();
    'all: for (name, part) in chosen.into_iter().flat_map(parts) {
        println!("\n== {name}");
        let start = Instant::now();
        let counted = part().unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Count { passed: 0, failed: 1 }
        });
        table.push((name, start.elapsed(), counted));
        if counted.failed > 0 && !keep_going {
            println!("{name} failed: stopping (--keep-going runs the rest)");
            break 'all;
        }
    }
    println!("\n{:<12} {:>9} {:>8} {:>8}", "step", "time", "passed", "failed");
    let mut total = Count::default();
    for (name, took, counted) in table {
        println!("{name:<12} {:>9} {:>8} {:>8}", clock(took), counted.passed, counted.failed);
        total += counted;
    }
    println!("{:<12} {:>9}", "total", clock(began.elapsed()));
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        // The count above must stay the last line.
        std::process::exit(1);
    }
    Ok(())
}

fn clock(took: Duration) -> String {
    format!("{}:{:04.1}", took.as_secs() / 60, took.as_secs_f64() % 60.0)
}

fn rustfmt() -> Result<Count> {
    run(&mut cargo(&["fmt", "--all", "--check"])).context("`cargo fmt --all` mends it")?;
    Ok(Count::default())
}

fn clippy() -> Result<Count> {
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]))?;
    Ok(Count::default())
}

/// Everything the other steps run, compiled once.
fn build() -> Result<Count> {
    system::need(&["cc"], "build-essential", "install a C compiler (apt-get install build-essential)")?;
    run(&mut cargo(&["test", "--workspace", "--no-run", "--quiet"]))?;
    Ok(Count::default())
}

/// All Rust tests, the end-to-end ones included, with one throw-away Postgres.
fn rust_tests() -> Result<Count> {
    let cluster = Ephemeral::start()?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--", "--skip", CLIENTS]);
    count(tests.env("HIFI_TEST_POSTGRES", &cluster.url))
}

/// Trading and Ethereum clients, unmodified from their registries, against a running stack: the end-to-end test `unmodified_clients_work`.
fn clients() -> Result<Count> {
    let folder = clients_folder()?;
    postgres::ensure_there()?;
    count(cargo(&["test", "--workspace", "--test", "e2e", CLIENTS, "--", "--nocapture"]).env("HIFI_CLIENTS", folder))
}

/// The name of that test, which has a step of its own.
const CLIENTS: &str = "unmodified_clients";

/// A folder with `venv` and `node_modules`, made once from `requirements.txt` and `package-lock.json` of `tests/e2e/clients`.
fn clients_folder() -> Result<PathBuf> {
    let lists = root().join("tests/e2e/clients");
    let folder = target().join("clients");
    fs::create_dir_all(&folder)?;
    for list in [".npmrc", "package.json", "package-lock.json", "requirements.txt"] {
        fs::copy(lists.join(list), folder.join(list)).with_context(|| format!("cannot copy tests/e2e/clients/{list}"))?;
    }
    system::npm_ci(&folder)?;
    let hint = "install Python 3 with venv (apt-get install python3-venv)";
    let python = system::need(&["python3"], "python3", hint)?;
    let venv = folder.join("venv");
    once(&venv.join(".hifi-requirements"), &hash_files(&folder, &["requirements.txt"])?, || {
        let make = || run(command(&python, &["-m", "venv", "--clear"]).arg(&venv));
        if make().is_err() {
            if !system::install(&["python3-venv"])? {
                bail!("python3 cannot make a venv: {hint}");
            }
            make()?;
        }
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"];
        run(command(venv.join("bin/python"), &pip).current_dir(&folder))
    })?;
    Ok(folder)
}

/// A whole hifi with demo traders, on free ports, in a directory of its own.
pub struct Stack {
    child: Child,
    ready: Ready,
    _dir: TempDir,
}

/// What `hifi up --ready-file` writes.
#[derive(Deserialize)]
struct Ready {
    api: String,
    rpc: String,
}

impl Stack {
    pub fn start() -> Result<Self> {
        postgres::ensure_there()?;
        // As the Rust step builds it: `cargo build` would choose other features and compile half the world once more.
        build()?;
        let dir = TempDir::new("hifi-test-stack")?;
        let ready_file = dir.0.join("ready.json");
        let data = dir.0.join("data");
        let mut up = command(target().join("debug/hifi"), &["up", "--data-dir"]);
        up.arg(&data).args(["--rpc-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--stream-addr", "127.0.0.1:0"]);
        up.arg("--ready-file").arg(&ready_file).stdin(Stdio::null()).env_remove("DATABASE_URL");
        let mut child = up.spawn().context("cannot run hifi")?;
        let began = Instant::now();
        loop {
            if let Some(ready) = fs::read(&ready_file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                return Ok(Self { child, ready, _dir: dir });
            }
            if let Some(status) = child.try_wait()? {
                bail!("hifi up ended before it was ready ({status})");
            }
            if began.elapsed() > Duration::from_secs(120) {
                let _ = child.kill();
                bail!("hifi up was not ready after 120 s");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How tests find it.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let hifi = target().join("debug/hifi").display().to_string();
        [("HIFI_API", self.ready.api.clone()), ("HIFI_RPC", self.ready.rpc.clone()), ("HIFI_BIN", hifi)]
    }

    /// As Ctrl-C does; it must end in order and by itself.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        run(&mut command("kill", &["-INT", &pid]))?;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("hifi up ended with {status} after a Ctrl-C"),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        bail!("hifi up does not end after a Ctrl-C")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

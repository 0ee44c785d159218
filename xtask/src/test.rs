//! `cargo xtask test`: every check of the project in one run, the quick ones first. Prints the time of each step; its last line, alone, is
//! `N passed, N failed`. Stops at the first failing step unless told to go on. Uses one cargo profile, so that everything is compiled once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--quiet"]);
    count(tests.env("HIFI_TEST_POSTGRES", &cluster.url))
}

/// The clients of `tests/e2e/clients`, unmodified from their registries, against a running stack.
fn clients() -> Result<Count> {
    let folder = root().join("tests/e2e/clients");
    let mut counted = Count::default();
    let stack = Stack::start()?;
    let python = python(&folder)?;
    system::npm_ci(&folder)?;
    for script in scripts(&folder)? {
        let mut client = match script.extension().and_then(|end| end.to_str()) {
            Some("py") => Command::new(&python),
            _ => Command::new("node"),
        };
        let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("+ {name}");
        let status = client.arg(&script).current_dir(&folder).envs(stack.variables()).stdin(Stdio::null()).status()?;
        println!("{name}: {}", if status.success() { "ok" } else { "FAILED" });
        counted += Count { passed: u64::from(status.success()), failed: u64::from(!status.success()) };
    }
    stack.stop()?;
    Ok(counted)
}

/// `*_test.py`, `test_*.py`, `*.test.mjs`: each a program that exits 0 when its client works.
fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let is_script = |path: &PathBuf| matches!(path.extension().and_then(|end| end.to_str()), Some("py" | "mjs"));
    let mut scripts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_script).collect();
    scripts.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('_')));
    scripts.sort();
    if scripts.is_empty() {
        bail!("no client scripts in {}", folder.display());
    }
    Ok(scripts)
}

/// A Python with the pinned packages of `requirements.txt`, made once.
fn python(folder: &Path) -> Result<PathBuf> {
    let hint = "install Python 3 with venv (apt-get install python3-venv)";
    let system_python = system::need(&["python3"], "python3", hint)?;
    let venv = target().join("clients-venv");
    let key = hash_files(folder, &["requirements.txt"])?;
    once(&venv.join(".hifi-requirements"), &key, || {
        let make = |clear: &str| run(command(&system_python, &["-m", "venv", clear]).arg(&venv));
        if make("--clear").is_err() {
            if !system::install(&["python3-venv"])? {
                bail!("python3 cannot make a venv: {hint}");
            }
            make("--clear")?;
        }
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"];
        run(command(venv.join("bin/python"), &pip).current_dir(folder))
    })?;
    Ok(venv.join("bin/python"))
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
        run(&mut cargo(&["build", "--workspace", "--bins", "--quiet"]))?;
        let dir = TempDir::new("hifi-test-stack")?;
        let ready_file = dir.0.join("ready.json");
        let data = dir.0.join("data");
        let mut up = command(target().join("debug/hifi"), &["up", "--data-dir"]);
        up.arg(&data).args(["--rpc-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--stream-addr", "127.0.0.1:0"]);
        up.arg("--ready-file").arg(&ready_file).stdin(Stdio::null());
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

//! Runs the tools: shows what they say while they say it, and counts the tests they report. Never hides a failure.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A command that starts in the workspace's folder.
pub fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// The cargo that runs us.
pub fn cargo(args: &[&str]) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Tests reported by a tool.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs to the end; an exit code other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    say(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// What the command prints, errors shown.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {}", line(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a test tool, passing its output on line by line. The count says at least one failure if the tool itself failed.
pub fn count(command: &mut Command) -> Result<Count> {
    say(command);
    command.env("NO_COLOR", "1").env("CARGO_TERM_COLOR", "never").env("FORCE_COLOR", "0");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {}", line(command)))?;
    let mut count = Count::default();
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        println!("{}", text.trim_end());
        count += reported(&text);
        bytes.clear();
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        eprintln!("`{}` failed ({status})", line(command));
        count.failed = 1;
    }
    Ok(count)
}

/// Reads the summary lines of cargo test, forge and vitest; other lines count nothing.
fn reported(line: &str) -> Count {
    let plain = strip_colours(line);
    let line = plain.trim();
    let number_before = |word: &str| {
        let before = line.split(word).next().filter(|before| before.len() < line.len())?;
        before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let cargo = line.starts_with("test result: ");
    let forge = line.starts_with("Ran ") && line.contains(" test suite") && line.contains(" total test");
    let vitest = line.starts_with("Tests ") && line.ends_with(')');
    match (cargo, forge, vitest) {
        (true, ..) | (_, _, true) => Count { passed: number_before(" passed").unwrap_or(0), failed: number_before(" failed").unwrap_or(0) },
        (_, true, _) => Count { passed: number_before(" tests passed").unwrap_or(0), failed: number_before(" failed").unwrap_or(0) },
        _ => Count::default(),
    }
}

fn strip_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

fn say(command: &Command) {
    println!("+ {}", line(command));
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    std::iter::once(name).chain(words.skip(1).map(|word| word.to_string_lossy().into_owned())).collect::<Vec<_>>().join(" ")
}

/// sha256 in hex over the files below `paths`: sorted relative names and bytes. A missing path counts as empty.
pub fn hash_files(base: &Path, paths: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for path in paths {
        collect(base, &base.join(path), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.as_bytes());
        hash.update(fs::read(base.join(&file)).with_context(|| format!("cannot read {file}"))?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Relative names, with `/`, of all files at or below `path`.
fn collect(base: &Path, path: &Path, files: &mut Vec<String>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(base, &entry?.path(), files)?;
        }
    } else if path.is_file() {
        let name = path.strip_prefix(base).expect("below its base");
        files.push(name.to_string_lossy().replace('\\', "/"));
    }
    Ok(())
}

/// Does `make` unless `stamp` already holds `key`; a failed `make` leaves no stamp.
pub fn once(stamp: &Path, key: &str, make: impl FnOnce() -> Result<()>) -> Result<bool> {
    if fs::read_to_string(stamp).is_ok_and(|held| held == key) {
        return Ok(false);
    }
    let _ = fs::remove_file(stamp);
    make()?;
    if let Some(parent) = stamp.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(stamp, key).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_every_tool_are_counted() {
        for (line, passed, failed) in [
            ("test result: ok. 17 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s", 17, 0),
            ("test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", 10, 2),
            ("Ran 3 test suites in 12.34ms (10.1ms CPU time): 41 tests passed, 1 failed, 0 skipped (42 total tests)", 41, 1),
            ("Ran 7 tests for test/Gas.t.sol:Gas", 0, 0),
            ("      Tests  12 passed (12)", 12, 0),
            ("      Tests  1 failed | 11 passed (12)", 11, 1),
            ("\x1b[2m      Tests \x1b[22m \x1b[1m\x1b[32m7 passed\x1b[39m\x1b[22m\x1b[90m (7)\x1b[39m", 7, 0),
            (" Test Files  1 failed | 2 passed (3)", 0, 0),
            ("3 passed, 0 failed", 0, 0),
        ] {
            assert_eq!(reported(line), Count { passed, failed }, "{line}");
        }
    }

    #[test]
    fn a_tool_that_fails_without_a_summary_counts_as_one_failure() {
        assert_eq!(count(Command::new("sh").args(["-c", "exit 3"])).unwrap(), Count { passed: 0, failed: 1 });
        assert_eq!(
            count(Command::new("sh").args(["-c", "echo 'test result: ok. 2 passed; 0 failed;'"])).unwrap(),
            Count { passed: 2, failed: 0 }
        );
    }
}

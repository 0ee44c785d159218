//! The few lines between our process and `postgres` that make it die with us: `hifi postgres-guard <parent pid> <program> <args>`.
//! It asks the kernel for a SIGINT at the parent's death, makes sure that the parent still lives, and becomes the program.
//! SIGINT is Postgres' fast shutdown, so even a `kill -9` of hifi leaves a clean cluster behind. Where the kernel has no such service (macOS)
//! the next start ends the orphan instead.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use super::{Identity, identity};

/// The hidden subcommand.
const NAME: &str = "postgres-guard";

/// A command that runs `program` behind the guard, as `identity`, in a process group of its own (a Ctrl-C in the terminal reaches us, and we end it).
pub(super) fn command(guard_exe: Option<&Path>, identity: Option<&Identity>, program: &Path) -> Command {
    let ourselves = std::env::current_exe().unwrap_or_default();
    // The link in /proc works for a user who could not walk the path to our binary.
    let exe = guard_exe.unwrap_or(if cfg!(target_os = "linux") { Path::new("/proc/self/exe") } else { &ourselves });
    let mut command = identity::command(exe, identity);
    command.arg(NAME).arg(std::process::id().to_string()).arg(program).process_group(0);
    command
}

/// The whole of `hifi postgres-guard`; `args` are those after the subcommand's name. Returns only when something is wrong.
pub fn guard_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let parent = args.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, args.next()) else {
        eprintln!("{NAME} is started by hifi itself: <parent pid> <program> <args>");
        return ExitCode::from(2);
    };
    let error = become_program(parent, &program, args);
    eprintln!("{NAME}: {}: {error}", program.display());
    ExitCode::FAILURE
}

fn become_program(parent: i32, program: &OsStr, args: impl Iterator<Item = OsString>) -> std::io::Error {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::INT)) {
        return error.into();
    }
    // A parent that died before the line above would never be missed.
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if now != parent {
        return std::io::Error::other(format!("parent {parent} is gone"));
    }
    Command::new(program).args(args).exec()
}

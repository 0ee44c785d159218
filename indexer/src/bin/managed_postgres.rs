//! The managed Postgres alone: what `hifi index postgres` does, without building the rest of hifi. The test command starts its throw-away cluster with it,
//! and the tests of `indexer/src/postgres` use it as the process to kill. Not installed, not needed to run hifi.

use std::{env, ffi::OsString, process::ExitCode};

use indexer::postgres::{self, Config, Identity};

const USAGE: &str = "managed_postgres locate | url DIR | stop DIR | run DIR [--ephemeral]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    let done = match (command.to_str().unwrap_or_default(), rest.as_slice()) {
        ("postgres-guard", _) => return postgres::guard_main(rest),
        ("locate", []) => Identity::choose().and_then(|user| {
            let config = Config::from_env(".");
            let found = postgres::locate(config.pg_bin.as_deref(), user.as_ref(), None)?;
            println!("{} {}", found.major, found.dir.display());
            Ok(())
        }),
        ("url", [dir]) => postgres::url_of(dir.as_ref(), "hifi").map(|url| println!("{url}")),
        ("stop", [dir]) => postgres::stop_orphan(dir.as_ref()).map(|ended| println!("{}", if ended { "ended" } else { "nothing runs" })),
        ("run", [dir]) => postgres::foreground(Config::from_env(dir)).await,
        ("run", [dir, flag]) if flag == "--ephemeral" => postgres::foreground(Config { ephemeral: true, ..Config::from_env(dir) }).await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

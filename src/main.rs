//! The `hifi` program: reads the command line, sets up logging, dispatches, and turns an error into one clear line and an exit code.

use clap::Parser;
use hifi::cli::{Cli, Command};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The child that becomes Postgres: nothing else of this program may run first.
    if let Some(code) = hifi::cli::postgres_guard() {
        return code;
    }
    let cli = Cli::parse();
    hifi::telemetry::start(&cli.log);
    let result = match cli.command {
        Command::Up(args) => hifi::cli::up(args),
        Command::Node(args) => hifi::cli::node(args),
        Command::Index(args) => hifi::cli::index(args),
        Command::Api(args) => hifi::cli::api(args),
        Command::Replay(args) => hifi::cli::replay(args),
        Command::Bench(args) => hifi::cli::bench(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hifi: {error:#}");
            ExitCode::from(hifi::cli::exit_code(&error))
        }
    }
}

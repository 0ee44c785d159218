//! The developer's program: `cargo xtask up` starts everything, `cargo xtask test` checks everything.
//! Knows none of hifi's crates; it drives the tools a person would drive. Installs what is missing where it may, else says in one line what to install.

mod contracts;
mod postgres;
mod run;
mod system;
mod test;
mod tidy;
mod up;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, starts and checks hifi", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds what is stale and starts the whole stack: chain, indexer with its Postgres, API, page, demo traders
    Up {
        /// Leave the page out (no Node needed)
        #[arg(long)]
        no_web: bool,
        /// Arguments for `hifi up`, after `--`
        #[arg(last = true)]
        hifi: Vec<String>,
    },
    /// Runs every check, or the named ones; the last line counts them
    Test {
        /// Run only these; all of them if none is named
        steps: Vec<Step>,
        /// Go on after a failure, to see them all
        #[arg(long)]
        keep_going: bool,
    },
    /// Checks what reading can check: crate arrows, tables in two languages, fresh artifacts, unfinished marks, documents
    Tidy,
    /// Finds a Postgres for hifi or fetches one, and says where it is
    Postgres {
        /// Fetch the pinned bundle even if there is another
        #[arg(long)]
        bundle: bool,
    },
    /// Compiles the contracts and writes contracts/artifacts
    Contracts,
    /// Builds the page into web/dist
    Web,
}

/// One step of the test command.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// The gates of `cargo xtask tidy`
    Tidy,
    /// Contracts: artifacts are what the sources give; Solidity tests, gas and conflict gates
    Contracts,
    /// rustfmt, clippy, and every Rust test, with a throw-away Postgres and the end-to-end stacks
    Rust,
    /// The page: types, build and budget, unit tests, real Chromium against a running stack
    Web,
    /// Unmodified trading and Ethereum clients against a running stack
    Clients,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up { no_web, hifi } => up::up(no_web, &hifi),
        Command::Test { steps, keep_going } => test::test(&steps, keep_going),
        Command::Tidy => tidy::command(),
        Command::Postgres { bundle: true } => postgres::fetch_bundle().map(|dir| println!("postgres: {}", dir.display())),
        Command::Postgres { bundle: false } => postgres::ensure_there(),
        Command::Contracts => contracts::build(),
        Command::Web => web::build().map(drop),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

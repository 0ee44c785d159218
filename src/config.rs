//! Options of the stack: flag > environment > `hifi.toml` > default. One struct of flags, one of the file, one of the result.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Flags of every command that runs a part of the stack.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Options file; by default `hifi.toml` in the current folder, if it is there.
    #[arg(long, env = "HIFI_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept: blocks, state, Postgres [default: ./data]
    #[arg(long, env = "HIFI_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// JSON-RPC over http and websocket [default: 127.0.0.1:8545]
    #[arg(long, env = "HIFI_RPC_ADDR", value_name = "ADDR:PORT")]
    pub rpc_addr: Option<SocketAddr>,
    /// REST, websockets and the page [default: 127.0.0.1:8080]
    #[arg(long, env = "HIFI_API_ADDR", value_name = "ADDR:PORT")]
    pub api_addr: Option<SocketAddr>,
    /// Block stream for an indexer or API in another process [default: 127.0.0.1:8547]
    #[arg(long, env = "HIFI_STREAM_ADDR", value_name = "ADDR:PORT")]
    pub stream_addr: Option<SocketAddr>,
    /// What readers of the block stream must name; needed if it can be reached by others
    #[arg(long, env = "HIFI_STREAM_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub stream_token: Option<String>,
    /// Chain id of a new chain [default: 4434]
    #[arg(long, env = "HIFI_CHAIN_ID", value_name = "N")]
    pub chain_id: Option<u64>,
    /// Time between blocks while there are transactions, in milliseconds; 0: as soon as there is one [default: 100]
    #[arg(long, env = "HIFI_BLOCK_INTERVAL_MS", value_name = "MS")]
    pub block_interval_ms: Option<u64>,
    /// Funded accounts of a new chain [default: 20]
    #[arg(long, env = "HIFI_DEV_ACCOUNTS", value_name = "N")]
    pub dev_accounts: Option<usize>,
    /// Built page [default: web/dist]
    #[arg(long, env = "HIFI_WEB_DIR", value_name = "DIR")]
    pub web_dir: Option<PathBuf>,
    /// Use this Postgres instead of one of our own, e.g. postgres://user@host/db
    #[arg(long, env = "DATABASE_URL", value_name = "URL")]
    pub database_url: Option<String>,
    /// Folder of Postgres' programs, if it is not found by itself
    #[arg(long, env = "HIFI_PG_BIN", value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// Print the options in force and stop
    #[arg(long)]
    pub print_config: bool,
}

/// The file: the same options by the same names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    rpc_addr: Option<SocketAddr>,
    api_addr: Option<SocketAddr>,
    stream_addr: Option<SocketAddr>,
    stream_token: Option<String>,
    chain_id: Option<u64>,
    block_interval_ms: Option<u64>,
    dev_accounts: Option<usize>,
    web_dir: Option<PathBuf>,
    database_url: Option<String>,
    pg_bin: Option<PathBuf>,
}

/// The options in force.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub rpc_addr: SocketAddr,
    pub api_addr: SocketAddr,
    pub stream_addr: SocketAddr,
    pub stream_token: Option<String>,
    pub chain_id: u64,
    pub block_interval: Duration,
    pub dev_accounts: usize,
    pub web_dir: PathBuf,
    pub database_url: Option<String>,
    pub pg_bin: Option<PathBuf>,
}

/// The file looked for in the current folder.
const FILE: &str = "hifi.toml";

impl Config {
    /// Reads the file, if any, and puts flags and environment on top. Fails on a file that is named and missing, or does not parse.
    pub fn read(flags: &Flags) -> Result<Config> {
        let file = match &flags.config {
            Some(path) => File::read(path)?,
            None if Path::new(FILE).exists() => File::read(Path::new(FILE))?,
            None => File::default(),
        };
        let config = Config {
            data_dir: flags.data_dir.clone().or(file.data_dir).unwrap_or_else(|| "data".into()),
            rpc_addr: flags.rpc_addr.or(file.rpc_addr).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8545))),
            api_addr: flags.api_addr.or(file.api_addr).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            stream_addr: flags.stream_addr.or(file.stream_addr).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8547))),
            stream_token: flags.stream_token.clone().or(file.stream_token),
            chain_id: flags.chain_id.or(file.chain_id).unwrap_or(4434),
            block_interval: Duration::from_millis(flags.block_interval_ms.or(file.block_interval_ms).unwrap_or(100)),
            dev_accounts: flags.dev_accounts.or(file.dev_accounts).unwrap_or(20),
            web_dir: flags.web_dir.clone().or(file.web_dir).unwrap_or_else(|| "web/dist".into()),
            database_url: flags.database_url.clone().or(file.database_url).filter(|url| !url.is_empty()),
            pg_bin: flags.pg_bin.clone().or(file.pg_bin),
        };
        config.check()?;
        Ok(config)
    }

    /// The options as lines of `hifi.toml`.
    pub fn print(&self) -> String {
        let mut lines = vec![
            format!("data_dir = {:?}", self.data_dir.display().to_string()),
            format!("rpc_addr = \"{}\"", self.rpc_addr),
            format!("api_addr = \"{}\"", self.api_addr),
            format!("stream_addr = \"{}\"", self.stream_addr),
            format!("chain_id = {}", self.chain_id),
            format!("block_interval_ms = {}", self.block_interval.as_millis()),
            format!("dev_accounts = {}", self.dev_accounts),
            format!("web_dir = {:?}", self.web_dir.display().to_string()),
        ];
        if let Some(url) = &self.database_url {
            lines.push(format!("database_url = {url:?}"));
        }
        if let Some(dir) = &self.pg_bin {
            lines.push(format!("pg_bin = {:?}", dir.display().to_string()));
        }
        lines.join("\n")
    }

    /// A configuration for a stack that lives in `dir` and listens on free loopback ports.
    pub fn temporary(dir: &Path) -> Config {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Config {
            data_dir: dir.into(),
            rpc_addr: any,
            api_addr: any,
            stream_addr: any,
            stream_token: None,
            chain_id: 4434,
            block_interval: Duration::from_millis(100),
            dev_accounts: 20,
            web_dir: "web/dist".into(),
            database_url: None,
            pg_bin: None,
        }
    }

    fn check(&self) -> Result<()> {
        if self.block_interval > Duration::from_secs(60) {
            bail!("--block-interval-ms {}: expected 0 ..= 60000", self.block_interval.as_millis());
        }
        if !(1..=100_000).contains(&self.dev_accounts) {
            bail!("--dev-accounts {}: expected 1 ..= 100000", self.dev_accounts);
        }
        if self.chain_id == 0 || self.chain_id >= 1 << 53 {
            bail!("--chain-id {}: expected 1 ..= 2^53 - 1", self.chain_id);
        }
        Ok(())
    }
}

impl File {
    fn read(path: &Path) -> Result<File> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the options file {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("options file {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Flags) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hifi.toml");
        std::fs::write(&path, text).unwrap();
        (dir, Flags { config: Some(path), ..Flags::default() })
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let (_dir, mut flags) = file("chain_id = 7\nrpc_addr = \"127.0.0.1:9000\"\n");
        flags.chain_id = Some(8);
        let config = Config::read(&flags).unwrap();
        assert_eq!((config.chain_id, config.rpc_addr.port(), config.api_addr.port()), (8, 9000, 8080));
    }

    #[test]
    fn a_wrong_file_is_an_error_that_names_the_option() {
        let (_dir, flags) = file("chain = 7\n");
        assert!(format!("{:#}", Config::read(&flags).unwrap_err()).contains("unknown field `chain`"));
        let (_dir, flags) = file("dev_accounts = 0\n");
        assert!(Config::read(&flags).unwrap_err().to_string().contains("--dev-accounts 0: expected 1 ..= 100000"));
        let missing = Flags { config: Some("/nonexistent/hifi.toml".into()), ..Flags::default() };
        assert!(Config::read(&missing).unwrap_err().to_string().contains("cannot read the options file"));
    }

    #[test]
    fn printed_options_read_back_the_same() {
        let (_dir, flags) = file("chain_id = 9\ndatabase_url = \"postgres://h/x\"\n");
        let config = Config::read(&flags).unwrap();
        let (_dir, again) = file(&config.print());
        assert_eq!(Config::read(&again).unwrap().print(), config.print());
    }
}

//! The server's settings and how to connect to it. Settings travel on the command line, so a cluster has no configuration of its own to drift.

use std::{ops::RangeInclusive, path::Path};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::USER;

/// Major versions hifi is tested with.
pub const MAJORS: RangeInclusive<u32> = 15..=18;
/// Name of the socket inside its directory; 5432 is only a name here, nothing listens on a port.
pub(super) const SOCKET_FILE: &str = ".s.PGSQL.5432";

/// `-c name=value` of a cluster that holds history: durable, one writer, small queries.
const DURABLE: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("shared_buffers", "256MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("wal_compression", "on"),
    ("jit", "off"),
    ("max_connections", "50"),
    ("max_parallel_workers_per_gather", "0"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] "),
    ("log_checkpoints", "off"),
];
/// What a cluster of a test run changes: nothing survives it, many databases share it.
const EPHEMERAL: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "1GB"),
    ("max_connections", "200"),
];

/// Arguments of the `postgres` program for the cluster in `data`.
pub(super) fn arguments(data: &Path, sock: &Path, ephemeral: bool) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = vec!["-D".into(), data.into(), "-k".into(), sock.into()];
    for (name, value) in DURABLE.iter().chain(if ephemeral { EPHEMERAL } else { &[] }) {
        arguments.push("-c".into());
        arguments.push(format!("{name}={value}").into());
    }
    arguments
}

/// Connection to a managed cluster; nothing of the caller's `PG*` variables gets in.
pub(super) fn connect(sock: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(sock)
        .port(5432)
        .username(USER)
        .password("")
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

pub(super) fn url(sock: &Path, database: &str) -> String {
    let encoded: String = sock.display().to_string().bytes().map(encode).collect();
    format!("postgres://{USER}@localhost:5432/{database}?host={encoded}&sslmode=disable")
}

fn encode(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// The same server for readers: sessions that cannot write, with statements of at most 2 s.
pub fn reader(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("hifi reader").options([("statement_timeout", "2s"), ("default_transaction_read_only", "on")])
}

/// Letters, digits and `_`, so that it can stand in SQL unquoted.
pub(super) fn plain_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    letters && name.len() <= 48 && name.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr as _;

    #[test]
    fn the_url_leads_to_the_same_socket() {
        let sock = Path::new("/tmp/a b/sock-1.x");
        let parsed = PgConnectOptions::from_str(&url(sock, "hifi")).unwrap();
        assert_eq!(parsed.get_socket().map(std::path::PathBuf::as_path), Some(sock));
        assert_eq!((parsed.get_username(), parsed.get_database()), (USER, Some("hifi")));
    }

    #[test]
    fn tests_give_up_durability_and_history_does_not() {
        let last = |ephemeral, name: &str| {
            let all = arguments(Path::new("d"), Path::new("s"), ephemeral);
            let found = all.iter().filter_map(|argument| argument.to_str()?.strip_prefix(&format!("{name}="))).next_back();
            found.map(str::to_owned)
        };
        assert_eq!((last(false, "fsync"), last(true, "fsync")), (None, Some("off".into())));
        assert_eq!(last(false, "listen_addresses"), Some(String::new()), "never a TCP port");
        assert_eq!(last(true, "listen_addresses"), Some(String::new()));
    }

    #[test]
    fn names_that_need_quotes_are_refused() {
        for good in ["hifi", "hifi_0a1b", "t1"] {
            assert!(plain_name(good), "{good}");
        }
        for bad in ["", "Hifi", "1a", "a-b", "a;drop", "_x", &"a".repeat(49)] {
            assert!(!plain_name(bad), "{bad}");
        }
    }
}

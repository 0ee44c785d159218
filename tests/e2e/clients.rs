//! Unmodified clients against the live stack: cast, viem and web3.py at the node, ccxt, ccxt.pro and python-binance at the API.
//! `cargo xtask test` installs them and says where (HIFI_CLIENTS: a folder with `venv` and `node_modules`); without it this test fails.

use crate::harness::{Up, folder};
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPTS: [(&str, &str); 6] = [
    ("cast", "cast.sh"),
    ("viem", "viem.mjs"),
    ("web3.py", "web3_client.py"),
    ("ccxt", "ccxt_rest.py"),
    ("ccxt.pro", "ccxt_pro.py"),
    ("python-binance", "python_binance.py"),
];

#[test]
fn unmodified_clients_work() {
    let installed = std::env::var_os("HIFI_CLIENTS").map(PathBuf::from).expect("HIFI_CLIENTS: run this through `cargo xtask test clients`");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients");
    let dir = folder();
    let up = Up::start(dir.path(), &[]);
    for (name, script) in SCRIPTS {
        let file = scripts.join(script);
        let mut command = match file.extension().and_then(|e| e.to_str()) {
            Some("py") => Command::new(installed.join("venv/bin/python")),
            Some("mjs") => Command::new("node"),
            _ => Command::new("bash"),
        };
        let path = format!("{}:{}", installed.join("node_modules/.bin").display(), std::env::var("PATH").unwrap_or_default());
        let output = command
            .arg(&file)
            .env("HIFI_RPC", &up.rpc_url)
            .env("HIFI_API", &up.api_url)
            .env("HIFI_CLIENTS", &installed)
            .env("PATH", path)
            .output()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name} failed:\n{said}");
        eprintln!("{name}: {}", said.lines().last().unwrap_or_default());
    }
    up.stop();
}

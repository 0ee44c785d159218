//! The page: files of `--web-dir` with their security headers, precompressed if the build made it so; unknown paths give `index.html`.
//! `/config.json` is made at run time. If the page was never built, a plain page says so; everything else works without it.

use crate::state::Shared;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Largest file that is served.
const FILE_BYTES_MAX: u64 = 32 << 20;

const CSP: &str =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a newcomer sees who started without building the page.
const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>hifi</title>\n<h1>The page is not built</h1>\n\
<p>The exchange is running; only this page is missing. Build it with <code>cargo xtask up</code>, or with <code>npm ci &amp;&amp; npm run build</code>\n\
in <code>web/</code>, or name its folder with <code>--web-dir</code>.</p>\n\
<p>Meanwhile: <a href=\"/v1/markets\">markets</a>, <a href=\"/v1/status\">status</a>, <a href=\"/metrics\">metrics</a>.</p>\n</html>\n";

/// `/config.json`: what the page must know about this server.
pub fn config(shared: &Shared) -> String {
    json!({
        "chain_id": shared.config.chain_id,
        "exchange": format!("{:#x}", shared.config.exchange),
        "rpc": "/rpc",
        "ws": "/v1/ws",
        "faucet": shared.config.faucet,
        "version": env!("CARGO_PKG_VERSION"),
    })
    .to_string()
}

/// The file at a path, or the page.
pub async fn serve(shared: &Shared, path: &str, headers: &HeaderMap) -> Response<Body> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let root = &shared.config.web_dir;
    if let Some(file) = inside(root, path)
        && let Some((bytes, encoding)) = read(&file, accepted).await
    {
        let hashed = path.starts_with("/assets/");
        return answer(StatusCode::OK, bytes, content_type(&file), encoding, hashed);
    }
    // A missing asset is an error; any other path is a view of the page.
    if path.starts_with("/assets/") {
        return answer(StatusCode::NOT_FOUND, b"no such file\n".to_vec(), "text/plain; charset=utf-8", None, false);
    }
    match read(&root.join("index.html"), accepted).await {
        Some((bytes, encoding)) => answer(StatusCode::OK, bytes, "text/html; charset=utf-8", encoding, false),
        None => answer(StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT.as_bytes().to_vec(), "text/html; charset=utf-8", None, false),
    }
}

/// The file a path names; `None` for anything that could leave the folder, hidden files, and the folder itself.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let mut file = root.to_path_buf();
    let mut named = false;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@'));
        if !plain || part.starts_with('.') {
            return None;
        }
        file.push(part);
        named = true;
    }
    named.then_some(file)
}

/// The bytes, and how they are encoded: the build's `.br` or `.gz` if the reader takes it.
async fn read(file: &Path, accepted: &str) -> Option<(Vec<u8>, Option<&'static str>)> {
    for (encoding, suffix) in [("br", ".br"), ("gzip", ".gz")] {
        if accepts(accepted, encoding) {
            let mut name = file.as_os_str().to_owned();
            name.push(suffix);
            if let Some(bytes) = read_file(Path::new(&name)).await {
                return Some((bytes, Some(encoding)));
            }
        }
    }
    Some((read_file(file).await?, None))
}

fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|part| {
        let mut fields = part.split(';').map(str::trim);
        fields.next() == Some(encoding) && !fields.any(|field| field == "q=0")
    })
}

async fn read_file(file: &Path) -> Option<Vec<u8>> {
    let facts = tokio::fs::metadata(file).await.ok()?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return None;
    }
    tokio::fs::read(file).await.ok()
}

fn answer(status: StatusCode, bytes: Vec<u8>, kind: &'static str, encoding: Option<&'static str>, hashed: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, kind);
    set(header::CACHE_CONTROL, if hashed { "public, max-age=31536000, immutable" } else { "no-cache" });
    set(header::VARY, "accept-encoding");
    if let Some(encoding) = encoding {
        set(header::CONTENT_ENCODING, encoding);
    }
    guard(headers);
    response
}

/// The headers that keep foreign code and frames out.
fn guard(headers: &mut HeaderMap) {
    let mut set = |name: &'static str, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set("content-security-policy", CSP);
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "no-referrer");
    set("cross-origin-opener-policy", "same-origin-allow-popups");
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_folder() {
        let root = Path::new("/srv/page");
        assert_eq!(inside(root, "/assets/app-1a.js"), Some(PathBuf::from("/srv/page/assets/app-1a.js")));
        for bad in ["/", "//", "/../etc/passwd", "/a/../../b", "/.env", "/a/.git/config", "/a%2e%2e/b", "/a\\..\\b", "/a\0b", "/a b"] {
            assert_eq!(inside(root, bad), None, "{bad}");
        }
    }

    #[test]
    fn encodings() {
        assert!(accepts("gzip, deflate, br;q=0.9", "br"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("brx", "br"));
        assert!(!accepts("", "gzip"));
    }
}

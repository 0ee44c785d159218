//! The listener, and what stands between HTTP and the surfaces: bounds, peers, headers, upgrades, order of start and stop.

use crate::compat::ws::{CompatSession, Wanted};
use crate::config::Config;
use crate::error::{Error, StartError};
use crate::limit::{Limiter, Peer};
use crate::native::ws::NativeSession;
use crate::params::Params;
use crate::sequencer::{self, Core};
use crate::state::{Place, Shared};
use crate::submit::Node;
use crate::{compat, metrics as counters, native, page as files, routes, socket};
use axum::Extension;
use axum::body::Body;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::{TokioIo, TokioTimer};
use indexer::feed::Feed;
use indexer::store::Reader;
use parking_lot::RwLock;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Connections beside those of websockets.
const PLAIN_CONNECTIONS: usize = 2_048;
/// A stalled peer should show in our queue, not in the kernel's.
const SEND_BUFFER: u32 = 256 << 10;
const BACKLOG: u32 = 1_024;
/// How long a stop waits for sockets to say goodbye.
const STOP_TIME: Duration = Duration::from_secs(2);

/// A running api. Dropping it leaves it running; [`Handle::stop`] ends it.
#[derive(Debug)]
pub struct Handle {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Cancel to end everything; [`Handle::stop`] does and waits.
    pub shutdown: CancellationToken,
    tasks: TaskTracker,
    sequencer: std::thread::JoinHandle<()>,
}

impl Handle {
    /// Closes all websockets with 1001, waits for them at most two seconds, and for the sequencer.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(STOP_TIME, self.tasks.wait()).await;
        let sequencer = self.sequencer;
        let _ = tokio::task::spawn_blocking(move || sequencer.join()).await;
    }
}

/// Loads the books from the feed, starts the sequencer, and listens. `reader` is history; without it, memory is all there is.
///
/// # Errors
/// The address is in use, or the node's url is none.
pub async fn start(config: Config, feed: Feed, reader: Option<Reader>) -> Result<Handle, StartError> {
    let node = Node::new(&config.rpc_url)?;
    let listener = listen(config.addr).map_err(|cause| StartError::Listen { addr: config.addr, cause })?;
    let addr = listener.local_addr().map_err(|cause| StartError::Listen { addr: config.addr, cause })?;
    let loading = feed.clone();
    let core = tokio::task::spawn_blocking(move || Core::load(&loading))
        .await
        .map_err(|_| StartError::Thread(std::io::Error::other("loading ended")))?;
    let shutdown = CancellationToken::new();
    let shared = Arc::new(Shared {
        limiter: Limiter::new(config.limits.clone()),
        newest: watch::Sender::new(core.head.number),
        core: RwLock::new(core),
        config,
        feed,
        reader,
        node,
        totals: Arc::default(),
        metrics: counters::Metrics::default(),
        sockets: Default::default(),
        socket_ids: Default::default(),
        shutdown: shutdown.clone(),
    });
    let (following, runtime) = (shared.clone(), tokio::runtime::Handle::current());
    let sequencer = std::thread::Builder::new().name("hifi-sequencer".into()).spawn(move || sequencer::run(&following, &runtime));
    let sequencer = sequencer.map_err(StartError::Thread)?;
    let tasks = TaskTracker::new();
    tasks.spawn(accept(listener, shared, tasks.clone()));
    Ok(Handle { addr, shutdown, tasks, sequencer })
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Inherited by accepted connections.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker) {
    let app = routes(shared.clone());
    let app = match cors(&shared.config) {
        Some(layer) => app.layer(layer),
        None => app,
    };
    let places = Arc::new(Semaphore::new(shared.config.limits.sockets + PLAIN_CONNECTIONS));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = shared.shutdown.cancelled() => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (app, shared) = (app.clone(), shared.clone());
                tasks.spawn(async move {
                    connection(stream, peer, app, shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn cors(config: &Config) -> Option<tower_http::cors::CorsLayer> {
    let origin = config.cors.as_deref()?;
    let layer = tower_http::cors::CorsLayer::new().allow_methods([Method::GET, Method::POST]).allow_headers([header::CONTENT_TYPE]);
    match origin {
        "*" => Some(layer.allow_origin(tower_http::cors::Any)),
        origin => Some(layer.allow_origin(HeaderValue::from_str(origin).ok()?)),
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, app: axum::Router, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let (head_time, shutdown) = (shared.config.limits.head_time, shared.shutdown.clone());
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (app, shared) = (app.clone(), shared.clone());
        async move { Ok::<_, std::convert::Infallible>(answer(app, shared, peer.ip(), request.map(Body::new)).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_time).max_buf_size(64 << 10);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(STOP_TIME, connection).await;
        }
    }
}

/// Bounds that hold for every request, before any route sees it.
async fn answer(app: axum::Router, shared: Arc<Shared>, connection: IpAddr, mut request: Request) -> Response {
    let started = Instant::now();
    if request.uri().path_and_query().map_or(0, |path| path.as_str().len()) > shared.config.limits.url_bytes {
        return refusal(&Error::too_long(), request.uri());
    }
    let peer = Peer::of(connection, request.headers(), shared.config.trusted_proxy);
    request.extensions_mut().insert(peer);
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    let response = app.oneshot(request).await.unwrap_or_else(|never| match never {});
    if !is_upgrade {
        shared.metrics.rest.record(started.elapsed());
    }
    response
}

/// An error in the format of the surface it happened on.
fn refusal(error: &Error, uri: &Uri) -> Response {
    let path = uri.path();
    let is_compat = path.starts_with("/api/") || path.starts_with("/ws") || path.starts_with("/stream");
    let text = if is_compat { error.compat() } else { error.native() };
    json(StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
}

fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// A read's answer with the place it is true at.
fn placed(shared: &Shared, text: String, place: Place) -> Response {
    let mut response = json(StatusCode::OK, text);
    let headers = response.headers_mut();
    headers.insert("x-hifi-block", HeaderValue::from(place.block));
    headers.insert("x-hifi-seq", HeaderValue::from(place.seq));
    headers.insert("x-hifi-commit", HeaderValue::from_static("executed"));
    headers.insert("x-hifi-indexed", HeaderValue::from(shared.stored()));
    response
}

/// Parameters, charged, and at or past the block the caller wants to see.
async fn admitted(
    shared: &Shared,
    peer: Peer,
    uri: &Uri,
    headers: &HeaderMap,
    weight: impl Fn(&Params) -> u32,
) -> Result<(Params, u32), Error> {
    let params = Params::read(uri.query().unwrap_or_default());
    let weight = params.as_ref().map_or(1, weight);
    let used = shared.limiter.charge(peer, weight, Instant::now())?;
    let params = params?;
    let named = headers
        .get("x-hifi-min-block")
        .map(|value| value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| Error::illegal("min_block")));
    let wanted = match named {
        Some(block) => Some(block?),
        None => params.number("min_block")?,
    };
    if let Some(block) = wanted {
        shared.reach(block).await?;
    }
    Ok((params, used))
}

/// A route of `/api/v3`.
pub fn compat_read(read: compat::rest::Read) -> MethodRouter<Arc<Shared>> {
    get(move |State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, uri: Uri, headers: HeaderMap| async move {
        let (params, used) = match admitted(&shared, peer, &uri, &headers, |params| read.weight(params)).await {
            Ok(admitted) => admitted,
            Err(error) => return refusal(&error, &uri),
        };
        let mut response = match read.answer(&shared, &params).await {
            Ok((text, place)) => placed(&shared, text, place),
            Err(error) => refusal(&error, &uri),
        };
        response.headers_mut().insert("x-mbx-used-weight-1m", HeaderValue::from(used));
        response
    })
}

/// A route of `/v1`.
pub fn native_read(read: native::rest::Read) -> MethodRouter<Arc<Shared>> {
    get(
        move |State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, path: RawPathParams, uri: Uri, headers: HeaderMap| async move {
            let answered = async {
                let (params, _) = admitted(&shared, peer, &uri, &headers, |_| read.weight()).await?;
                let market = path.iter().next().map(|(_, value)| value);
                read.answer(&shared, &params, market).await
            };
            match answered.await {
                Ok((text, place)) => placed(&shared, text, place),
                Err(error) => refusal(&error, &uri),
            }
        },
    )
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// `/ws`, `/stream` and what follows them.
pub async fn compat_ws(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, uri: Uri, upgrade: Upgrade) -> Response {
    let Ok(upgrade) = upgrade else { return refusal(&Error::malformed("This path speaks websocket only."), &uri) };
    let path = uri.path();
    let combined = path.starts_with("/stream");
    let tail = path.trim_start_matches("/stream").trim_start_matches("/ws").trim_start_matches('/');
    let most = shared.config.limits.streams_per_socket;
    let wanted = Params::read(uri.query().unwrap_or_default()).and_then(|params| {
        let named = params.get("streams").filter(|_| combined).map(str::to_owned);
        // Streams in a path may be escaped (`%40` for `@`), which a query's reader undoes.
        let unescaped = Params::read(&format!("tail={}", tail.replace('+', "%2B").replace(['&', ';'], "")))?;
        let core = shared.live()?;
        let tail = named.as_deref().or(unescaped.get("tail")).unwrap_or_default();
        Wanted::read(tail, &core.books.symbols, most)
    });
    match wanted.and_then(|wanted| Ok((wanted, socket::admit(&shared, peer)?))) {
        Ok((wanted, open)) => {
            socket::upgrade(shared, open, upgrade, move |shared, outbox| CompatSession::open(wanted, combined, shared, outbox))
        }
        Err(error) => refusal(&error, &uri),
    }
}

/// `/v1/ws`.
pub async fn native_ws(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, uri: Uri, upgrade: Upgrade) -> Response {
    let Ok(upgrade) = upgrade else { return refusal(&Error::malformed("This path speaks websocket only."), &uri) };
    match socket::admit(&shared, peer) {
        Ok(open) => socket::upgrade(shared, open, upgrade, |_, _| NativeSession::default()),
        Err(error) => refusal(&error, &uri),
    }
}

/// POST `/rpc`.
pub async fn rpc(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, uri: Uri, body: Body) -> Response {
    let answered = async {
        shared.limiter.charge(peer, 1, Instant::now())?;
        let body = Limited::new(body, shared.config.limits.body_bytes).collect().await.map_err(|_| Error::too_large())?;
        let started = Instant::now();
        let answer = shared.node.forward(body.to_bytes()).await;
        shared.metrics.submit.record(started.elapsed());
        answer
    };
    match answered.await {
        Ok(text) => json(StatusCode::OK, text),
        Err(error) => refusal(&error, &uri),
    }
}

/// GET `/rpc`: a websocket to the node.
pub async fn rpc_ws(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, uri: Uri, upgrade: Upgrade) -> Response {
    let Ok(upgrade) = upgrade else { return refusal(&Error::malformed("POST a call, or open a websocket."), &uri) };
    let open = match socket::admit(&shared, peer) {
        Ok(open) => open,
        Err(error) => return refusal(&error, &uri),
    };
    let bytes = shared.config.limits.body_bytes;
    upgrade.max_frame_size(bytes).max_message_size(bytes).on_upgrade(move |client| async move {
        shared.node.join(client, shared.shutdown.clone()).await;
        drop(open);
    })
}

pub async fn page_config(State(shared): State<Arc<Shared>>) -> Response {
    json(StatusCode::OK, files::config(&shared))
}

pub async fn health() -> Response {
    json(StatusCode::OK, "{\"ok\":true}")
}

/// 200 once the books are live and not behind.
pub async fn ready(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let lag = shared.feed.head().saturating_sub(shared.core.read().head.number);
    match shared.live() {
        Ok(_) if lag <= 3 => json(StatusCode::OK, format!("{{\"ready\":true,\"indexed\":{}}}", shared.stored())),
        Ok(_) => refusal(&Error::busy("The api is behind the chain."), &uri),
        Err(error) => refusal(&error, &uri),
    }
}

pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut response = Response::new(Body::from(counters::print(&shared)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}

pub async fn bad_method(uri: Uri) -> Response {
    refusal(&Error::bad_method(), &uri)
}

/// Whatever is no route: the page, or a typed 404 under the prefixes of the surfaces.
pub async fn page(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    const OURS: [&str; 7] = ["/api", "/v1", "/sapi", "/fapi", "/udf", "/ws-api", "/rpc"];
    let path = uri.path();
    let is_ours = OURS.iter().any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    match method {
        _ if is_ours => refusal(&Error::no_route(), &uri),
        Method::GET | Method::HEAD => files::serve(&shared, path, &headers).await.into_response(),
        _ => refusal(&Error::bad_method(), &uri),
    }
}

//! The listener: accepts connections, counts them per address, gives each to the method table, closes all at shutdown.
//! HTTP and WebSocket share the port; `Origin`s are an allow-list; a flood from one address meets its own bounds before it meets work.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use hyper::header::{HeaderValue, ORIGIN};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::{BatchRequestConfig, HttpBody, PingConfig, ServerConfig, ServerHandle, StopHandle, stop_channel};
use jsonrpsee::{Methods, server};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::limits::{Gate, Upgraded};
use super::subscribe::HexIds;
use super::{Context, table};
use crate::NodeError;

/// Addresses whose rates are remembered; when more come, those idle for a second are forgotten.
const ADDRESSES_MAX: usize = 4_096;
/// How long open requests may finish at shutdown.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Binds the address.
pub(crate) async fn listen(addr: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(addr).await.map_err(|source| NodeError::Listen { addr, source })
}

/// The running server.
pub(crate) struct Server {
    handle: ServerHandle,
    task: tokio::task::JoinHandle<()>,
    sockets: Arc<Mutex<HashMap<u64, Peer>>>,
}

impl Server {
    /// Accepts no more, lets open requests finish for [`STOP_WITHIN`], then cuts what is left.
    pub async fn stop(self) {
        // An error means it stopped before.
        let _ = self.handle.stop();
        let all_closed = async {
            while !self.sockets.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(STOP_WITHIN, all_closed).await;
        self.sockets.lock().values().for_each(Peer::cut);
        self.task.abort();
    }
}

/// The other end of a connection; methods find it in the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub address: IpAddr,
    socket: Arc<std::net::TcpStream>,
}

impl Peer {
    /// Closes the connection at once: its reader did not keep up, or the node stops.
    pub fn cut(&self) {
        // It may be closed already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// What all connections share.
struct Door {
    context: Arc<Context>,
    methods: Methods,
    config: ServerConfig,
    connections: Arc<Semaphore>,
    addresses: Mutex<HashMap<IpAddr, Address>>,
    sockets: Arc<Mutex<HashMap<u64, Peer>>>,
    cors: CorsLayer,
    stop: StopHandle,
}

/// One remote address: its open WebSockets and its allowance of requests.
struct Address {
    sockets: usize,
    allowance: f64,
    at: Instant,
}

/// Serves until [`Server::stop`].
pub(crate) fn serve(listener: TcpListener, context: Context) -> Server {
    let context = Arc::new(context);
    let limits = &context.limits;
    let config = ServerConfig::builder()
        .max_request_body_size(limits.body_bytes)
        .max_response_body_size(limits.response_bytes)
        .max_connections(u32::try_from(limits.connections).unwrap_or(u32::MAX))
        .max_subscriptions_per_connection(limits.subscriptions_per_connection)
        .set_message_buffer_capacity(limits.socket_messages)
        .set_batch_request_config(BatchRequestConfig::Unlimited)
        .set_id_provider(HexIds::default())
        .enable_ws_ping(PingConfig::new().ping_interval(Duration::from_secs(20)).inactive_limit(Duration::from_secs(60)))
        .build();
    let (stop, handle) = stop_channel();
    let sockets = Arc::<Mutex<HashMap<u64, Peer>>>::default();
    let door = Arc::new(Door {
        methods: table(Arc::clone(&context)),
        config,
        connections: Arc::new(Semaphore::new(limits.connections)),
        addresses: Mutex::default(),
        sockets: Arc::clone(&sockets),
        cors: cors(&context.cors_origins),
        stop,
        context,
    });
    let task = tokio::spawn(accept(listener, door));
    Server { handle, task, sockets }
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    let mut next = 0;
    let stopped = door.stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => return,
        };
        let Ok((mut socket, remote)) = accepted else {
            // Out of descriptors, most likely: give the open connections time to end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&door.connections).try_acquire_owned() else {
            let _ = socket.try_write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = socket.shutdown().await;
            continue;
        };
        next += 1;
        tokio::spawn(connection(Arc::clone(&door), socket, remote.ip(), next, permit));
    }
}

async fn connection(door: Arc<Door>, socket: TcpStream, address: IpAddr, id: u64, permit: OwnedSemaphorePermit) {
    let Ok((socket, peer)) = twin(socket, address) else { return };
    door.sockets.lock().insert(id, peer.clone());
    let guard = Arc::new(Open { door: Arc::clone(&door), id, _permit: permit });
    let context = Arc::clone(&door.context);
    let layer = RpcServiceBuilder::new().layer_fn(move |inner| Gate::new(inner, Arc::clone(&context)));
    let service = server::Server::builder()
        .set_config(door.config.clone())
        .set_rpc_middleware(layer)
        .to_service_builder()
        .connection_id(id as u32)
        .build(door.methods.clone(), door.stop.clone());
    let inside = Arc::clone(&door);
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (door, mut service, peer, guard) = (Arc::clone(&inside), service.clone(), peer.clone(), Arc::clone(&guard));
        let answer: BoxFuture<'static, Result<Response<HttpBody>, std::io::Error>> = Box::pin(async move {
            if let Some(refused) = door.refuse(&request, peer.address) {
                return Ok(refused);
            }
            let upgrade = request.headers().contains_key(hyper::header::UPGRADE);
            if upgrade {
                if !door.enter(peer.address) {
                    return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "too many websocket connections from this address\n"));
                }
                let closed = service.on_session_closed();
                let (door, address, guard) = (Arc::clone(&door), peer.address, Arc::clone(&guard));
                tokio::spawn(async move {
                    closed.await;
                    door.leave(address);
                    drop(guard);
                });
            }
            let mut request = request.map(HttpBody::new);
            request.extensions_mut().insert(peer);
            if upgrade {
                request.extensions_mut().insert(Upgraded);
            }
            service.call(request).await.map_err(std::io::Error::other)
        });
        answer
    });
    let service = TowerToHyperService::new(door.cors.layer(service));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.context.limits.idle)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let stopped = door.stop.clone().shutdown();
    tokio::pin!(served, stopped);
    tokio::select! {
        _ = served.as_mut() => {}
        () = &mut stopped => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

/// The socket for the server, and a second handle to the same socket to cut it with.
fn twin(socket: TcpStream, address: IpAddr) -> std::io::Result<(TcpStream, Peer)> {
    socket.set_nodelay(true)?;
    let socket = socket.into_std()?;
    let second = socket.try_clone()?;
    Ok((TcpStream::from_std(socket)?, Peer { address, socket: Arc::new(second) }))
}

/// A connection from accept to its end, upgrades included.
struct Open {
    door: Arc<Door>,
    id: u64,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.door.sockets.lock().remove(&self.id);
    }
}

impl Door {
    /// Rate of the address, and origins that may not open a WebSocket (CORS does not cover those).
    fn refuse(&self, request: &Request<hyper::body::Incoming>, address: IpAddr) -> Option<Response<HttpBody>> {
        if !self.allow(address) {
            let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many requests from this address"}}"#;
            return Some(plain(StatusCode::TOO_MANY_REQUESTS, body));
        }
        let origins = &self.context.cors_origins;
        let upgrade = request.headers().contains_key(hyper::header::UPGRADE);
        let origin = request.headers().get(ORIGIN).filter(|_| upgrade)?;
        let known = origins.iter().any(|known| known == "*" || known.as_bytes() == origin.as_bytes());
        (!known).then(|| plain(StatusCode::FORBIDDEN, "this origin may not connect\n"))
    }

    /// Takes one request from the address's allowance; loopback is not counted.
    fn allow(&self, address: IpAddr) -> bool {
        if address.is_loopback() {
            return true;
        }
        let (rate, burst) = (f64::from(self.context.limits.requests_per_second), f64::from(self.context.limits.requests_burst));
        let now = Instant::now();
        let mut addresses = self.addresses.lock();
        let entry = Self::entry(&mut addresses, address, burst, now);
        entry.allowance = (entry.allowance + now.duration_since(entry.at).as_secs_f64() * rate).min(burst);
        entry.at = now;
        let allowed = entry.allowance >= 1.0;
        entry.allowance -= f64::from(u8::from(allowed));
        allowed
    }

    fn entry(addresses: &mut HashMap<IpAddr, Address>, address: IpAddr, burst: f64, now: Instant) -> &mut Address {
        if addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, entry| entry.sockets > 0 || now.duration_since(entry.at) < Duration::from_secs(1));
        }
        addresses.entry(address).or_insert(Address { sockets: 0, allowance: burst, at: now })
    }

    fn enter(&self, address: IpAddr) -> bool {
        let limits = &self.context.limits;
        let mut addresses = self.addresses.lock();
        let entry = Self::entry(&mut addresses, address, f64::from(limits.requests_burst), Instant::now());
        let free = entry.sockets < limits.sockets_per_address;
        entry.sockets += usize::from(free);
        free
    }

    fn leave(&self, address: IpAddr) {
        if let Some(entry) = self.addresses.lock().get_mut(&address) {
            entry.sockets = entry.sockets.saturating_sub(1);
        }
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() = status;
    if body.starts_with('{') {
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

fn cors(origins: &[String]) -> CorsLayer {
    let layer = CorsLayer::new().allow_methods([hyper::Method::POST]).allow_headers([hyper::header::CONTENT_TYPE]);
    if origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(AllowOrigin::any());
    }
    layer.allow_origin(AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok())))
}

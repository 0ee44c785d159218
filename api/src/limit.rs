//! What one address may use: request weight, requests, sockets. Loopback without a forwarding header is exempt.
//! Windows are fixed (a minute, five minutes); the number of remembered addresses is bounded.

use crate::config::Limits;
use crate::error::Error;
use axum::http::HeaderMap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Whom a request is charged to; `None`: nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(Option<IpAddr>);

impl Peer {
    /// The address behind a connection. Only the trusted proxy's `X-Forwarded-For` (its last entry) is believed.
    pub fn of(connection: IpAddr, headers: &HeaderMap, trusted_proxy: Option<IpAddr>) -> Peer {
        let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let claimed = forwarded.and_then(|list| list.rsplit(',').next()).and_then(|last| last.trim().parse().ok());
        match (claimed, trusted_proxy) {
            (Some(claimed), Some(proxy)) if proxy == connection => Peer(Some(network(claimed))),
            _ if connection.to_canonical().is_loopback() && forwarded.is_none() => Peer(None),
            _ => Peer(Some(network(connection))),
        }
    }
}

/// An IPv6 address counts as its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four => four,
    }
}

#[derive(Debug)]
struct Use {
    minute: Instant,
    weight: u32,
    refused: u32,
    five: Instant,
    requests: u32,
    new_sockets: u32,
    open: u32,
}

/// The use of all remembered addresses.
#[derive(Debug)]
pub struct Limiter {
    peers: Mutex<HashMap<IpAddr, Use>>,
    limits: Limits,
}

/// Refusals in a minute after which the answer becomes 418.
const PATIENCE: u32 = 100;

impl Limiter {
    pub fn new(limits: Limits) -> Limiter {
        Limiter { peers: Mutex::new(HashMap::new()), limits }
    }

    /// Charges a request of some weight. Returns the weight used in this minute.
    ///
    /// # Errors
    /// 429, then 418, once the minute's weight or the five minutes' requests are used up.
    pub fn charge(&self, peer: Peer, weight: u32, now: Instant) -> Result<u32, Error> {
        let Some(address) = peer.0 else { return Ok(weight) };
        self.with(address, now, |row, limits| {
            row.requests += 1;
            if row.weight + weight > limits.weight_per_min || row.requests > limits.requests_per_5min {
                row.refused += 1;
                return Err(if row.refused > PATIENCE { Error::banned() } else { Error::too_many_requests() });
            }
            row.weight += weight;
            Ok(row.weight)
        })
    }

    /// Counts a new socket until [`Limiter::closed`].
    ///
    /// # Errors
    /// Too many open, or too many opened lately.
    pub fn opened(&self, peer: Peer, now: Instant) -> Result<(), Error> {
        let Some(address) = peer.0 else { return Ok(()) };
        self.with(address, now, |row, limits| {
            if row.open >= limits.sockets_per_peer || row.new_sockets >= limits.new_sockets_per_5min {
                return Err(Error::too_many_requests());
            }
            row.open += 1;
            row.new_sockets += 1;
            Ok(())
        })
    }

    pub fn closed(&self, peer: Peer) {
        let mut peers = self.peers.lock();
        if let Some(row) = peer.0.and_then(|address| peers.get_mut(&address)) {
            row.open = row.open.saturating_sub(1);
        }
    }

    fn with<T>(&self, address: IpAddr, now: Instant, change: impl FnOnce(&mut Use, &Limits) -> Result<T, Error>) -> Result<T, Error> {
        let mut peers = self.peers.lock();
        if peers.len() >= self.limits.peers && !peers.contains_key(&address) {
            peers.retain(|_, row| row.open > 0 || now.saturating_duration_since(row.five) < FIVE_MINUTES);
            if peers.len() >= self.limits.peers {
                return Err(Error::too_many_requests());
            }
        }
        let fresh = Use { minute: now, weight: 0, refused: 0, five: now, requests: 0, new_sockets: 0, open: 0 };
        let row = peers.entry(address).or_insert(fresh);
        if now.saturating_duration_since(row.minute) >= MINUTE {
            (row.minute, row.weight, row.refused) = (now, 0, 0);
        }
        if now.saturating_duration_since(row.five) >= FIVE_MINUTES {
            (row.five, row.requests, row.new_sockets) = (now, 0, 0);
        }
        change(row, &self.limits)
    }
}

/// Control messages of one socket: a bucket that refills.
#[derive(Debug)]
pub struct Bucket {
    left: f64,
    per_s: f64,
    most: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(limits: &Limits, now: Instant) -> Bucket {
        Bucket { left: limits.control_burst, per_s: limits.control_per_s, most: limits.control_burst, at: now }
    }

    /// True if one more message is allowed now.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.per_s).min(self.most);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer(Some(network(address.parse().unwrap())))
    }

    #[test]
    fn weight_ends_at_the_border_and_returns_with_the_minute() {
        let limiter = Limiter::new(Limits { weight_per_min: 10, ..Limits::default() });
        let now = Instant::now();
        assert_eq!(limiter.charge(peer("10.0.0.1"), 10, now), Ok(10));
        assert_eq!(limiter.charge(peer("10.0.0.1"), 1, now).unwrap_err().status, 429);
        assert_eq!(limiter.charge(peer("10.0.0.2"), 1, now), Ok(1));
        for _ in 0..PATIENCE {
            let _ = limiter.charge(peer("10.0.0.1"), 1, now);
        }
        assert_eq!(limiter.charge(peer("10.0.0.1"), 1, now).unwrap_err().status, 418);
        assert_eq!(limiter.charge(peer("10.0.0.1"), 1, now + MINUTE), Ok(1));
    }

    #[test]
    fn sockets_are_counted_while_open() {
        let limiter = Limiter::new(Limits { sockets_per_peer: 1, new_sockets_per_5min: 2, ..Limits::default() });
        let now = Instant::now();
        assert!(limiter.opened(peer("10.0.0.1"), now).is_ok());
        assert!(limiter.opened(peer("10.0.0.1"), now).is_err());
        limiter.closed(peer("10.0.0.1"));
        assert!(limiter.opened(peer("10.0.0.1"), now).is_ok());
        limiter.closed(peer("10.0.0.1"));
        assert!(limiter.opened(peer("10.0.0.1"), now).is_err(), "two in five minutes");
        assert!(limiter.opened(peer("10.0.0.1"), now + FIVE_MINUTES).is_ok());
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let limiter = Limiter::new(Limits { peers: 2, ..Limits::default() });
        let now = Instant::now();
        assert!(limiter.charge(peer("10.0.0.1"), 1, now).is_ok());
        assert!(limiter.charge(peer("10.0.0.2"), 1, now).is_ok());
        assert!(limiter.charge(peer("10.0.0.3"), 1, now).is_err());
        assert!(limiter.charge(peer("10.0.0.3"), 1, now + FIVE_MINUTES).is_ok());
    }

    #[test]
    fn who_is_who() {
        let mut headers = HeaderMap::new();
        let proxy: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(Peer::of(proxy, &headers, None), Peer(None));
        assert_eq!(Peer::of("::ffff:127.0.0.1".parse().unwrap(), &headers, None), Peer(None));
        headers.insert("x-forwarded-for", "6.6.6.6, 10.0.0.9".parse().unwrap());
        assert_eq!(Peer::of(proxy, &headers, Some(proxy)), peer("10.0.0.9"));
        assert_eq!(Peer::of(proxy, &headers, None), peer("127.0.0.1"));
        assert_eq!(Peer::of("10.1.1.1".parse().unwrap(), &headers, Some(proxy)), peer("10.1.1.1"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:2"));
    }

    #[test]
    fn the_bucket_refills() {
        let now = Instant::now();
        let mut bucket = Bucket::new(&Limits { control_burst: 2.0, control_per_s: 1.0, ..Limits::default() }, now);
        assert!(bucket.take(now) && bucket.take(now) && !bucket.take(now));
        assert!(bucket.take(now + Duration::from_secs(1)));
    }
}

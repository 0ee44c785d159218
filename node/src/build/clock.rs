//! When the next block is due. Used by the driver alone; the only place of the node where it waits for time to pass.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::mempool::Mempool;

/// With an empty pool a block is made this often.
const EMPTY_EVERY: Duration = Duration::from_secs(1);
/// How long a driver without ticks sleeps before it looks for the stop signal again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why the driver woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A block is due.
    Block,
    /// The node stops.
    Stop,
}

/// Ticks every interval; late ticks are not made up. An interval of zero means: as soon as something is ready.
#[derive(Debug)]
pub struct Clock {
    interval: Duration,
    tick: Instant,
    last_block: Instant,
    stop: Receiver<()>,
}

impl Clock {
    /// A clock that ends when `stop` has a message or lost its sender.
    pub fn new(interval: Duration, stop: Receiver<()>) -> Self {
        let now = Instant::now();
        Self { interval, tick: now, last_block: now.checked_sub(EMPTY_EVERY).unwrap_or(now), stop }
    }

    /// Waits until a block is due.
    pub fn wait(&mut self, pool: &Mempool) -> Wake {
        loop {
            let due = if self.interval.is_zero() { self.wait_ready(pool) } else { self.wait_tick(pool) };
            match due {
                Some(Wake::Block) => {
                    self.last_block = Instant::now();
                    return Wake::Block;
                }
                Some(Wake::Stop) => return Wake::Stop,
                None => {}
            }
        }
    }

    fn wait_tick(&mut self, pool: &Mempool) -> Option<Wake> {
        let now = Instant::now();
        self.tick += self.interval;
        if self.tick < now {
            self.tick = now;
        }
        match self.stop.recv_timeout(self.tick - now) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return Some(Wake::Stop),
        }
        let due = pool.lock().has_ready() || self.last_block.elapsed() >= EMPTY_EVERY;
        due.then_some(Wake::Block)
    }

    fn wait_ready(&mut self, pool: &Mempool) -> Option<Wake> {
        match self.stop.try_recv() {
            Err(crossbeam_channel::TryRecvError::Empty) => {}
            _ => return Some(Wake::Stop),
        }
        let deadline = (self.last_block + EMPTY_EVERY).min(Instant::now() + LOOK_EVERY);
        let due = pool.wait_ready(deadline) || self.last_block.elapsed() >= EMPTY_EVERY;
        due.then_some(Wake::Block)
    }
}

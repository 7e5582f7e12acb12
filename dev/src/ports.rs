//! Free ports on loopback: the same ones as last time where they are still free,
//! else the first free ones of a range that belongs to this checkout.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Result, bail};

/// Below the range from which operating systems take ports for outgoing
/// connections, so that a remembered port is rarely in the way of one.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Hands out ports and holds each until its owner is about to bind it.
#[derive(Debug)]
pub(crate) struct Ports {
    remembered: BTreeMap<String, u16>,
    held: BTreeMap<String, TcpListener>,
    next: u16,
}

impl Ports {
    /// Starts from what an earlier start used. `owner` spreads checkouts over the
    /// range: two of them side by side do not even try the same numbers.
    pub(crate) fn new(owner: &Path, remembered: BTreeMap<String, u16>) -> Self {
        Self {
            remembered,
            held: BTreeMap::new(),
            next: offset(owner),
        }
    }

    /// Reserves a port for `name`.
    pub(crate) fn reserve(&mut self, name: &str) -> Result<u16> {
        if let Some(listener) = self.remembered.get(name).and_then(|port| bind(*port)) {
            return self.hold(name, listener);
        }
        for _ in 0..COUNT {
            let port = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            // What another service had last time is left for that one.
            let spoken_for = self.remembered.values().any(|other| *other == port);
            if !spoken_for && let Some(listener) = bind(port) {
                return self.hold(name, listener);
            }
        }
        bail!("no free port on 127.0.0.1 for {name}")
    }

    /// Gives up the reservation, to be called just before the owner binds.
    pub(crate) fn release(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// Reserves a port and hands over the listener itself.
    pub(crate) fn listen(&mut self, name: &str) -> Result<(u16, TcpListener)> {
        let port = self.reserve(name)?;
        match self.held.remove(name) {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                Ok((port, listener))
            }
            None => bail!("the port of {name} was not held"),
        }
    }

    /// Every port that was handed out, for the next start.
    pub(crate) fn remembered(&self) -> BTreeMap<String, u16> {
        self.remembered.clone()
    }

    fn hold(&mut self, name: &str, listener: TcpListener) -> Result<u16> {
        let port = listener.local_addr()?.port();
        self.remembered.insert(name.to_owned(), port);
        self.held.insert(name.to_owned(), listener);
        Ok(port)
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}

/// FNV-1a over the path, folded into the range: stable over builds, unlike the
/// standard library's hashers.
fn offset(owner: &Path) -> u16 {
    let hash = fnv(owner.as_os_str().as_encoded_bytes()) % u64::from(COUNT);
    u16::try_from(hash).unwrap_or_default()
}

/// A short stable hash for names that belong to one checkout.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_is_replaced() {
        let mut first = Ports::new(Path::new("/a"), BTreeMap::new());
        let api = first.reserve("api").unwrap();
        let redis = first.reserve("redis").unwrap();
        assert_ne!(api, redis);
        let remembered = first.remembered();
        first.release("redis");

        // `api` is still held by the first owner, `redis` is free again.
        let mut second = Ports::new(Path::new("/a"), remembered);
        assert_ne!(second.reserve("api").unwrap(), api);
        assert_eq!(second.reserve("redis").unwrap(), redis);
    }

    #[test]
    fn two_checkouts_start_at_different_places() {
        assert_ne!(
            offset(Path::new("/home/a/plinth")),
            offset(Path::new("/home/b/plinth"))
        );
    }

    #[test]
    fn a_listener_is_handed_over_ready() {
        let mut ports = Ports::new(Path::new("/c"), BTreeMap::new());
        let (port, listener) = ports.listen("s3").unwrap();
        assert_eq!(listener.local_addr().unwrap().port(), port);
    }
}

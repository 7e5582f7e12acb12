//! Free ports on loopback: those of the last start if they are still free, otherwise others.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context as _, Result};

/// Below the ports that the kernel takes for outgoing connections.
const RANGE: Range<u16> = 20_000..32_000;

/// Reserves ports until their owners bind them.
#[derive(Debug)]
pub(crate) struct Ports {
    /// By the name of the service; also those of earlier starts.
    known: BTreeMap<String, u16>,
    held: BTreeMap<String, TcpListener>,
}

impl Ports {
    /// Starts from the ports of an earlier start.
    pub(crate) fn new(known: BTreeMap<String, u16>) -> Self {
        Self {
            known,
            held: BTreeMap::new(),
        }
    }

    /// Reserves a port.
    pub(crate) fn reserve(&mut self, name: &str) -> Result<u16> {
        let known = self.known.get(name).copied();
        // Random, so that two checkouts rarely try the same port; never the port of another service
        // of this one.
        let others = std::iter::repeat_with(|| fastrand::u16(RANGE))
            .filter(|port| !self.known.values().any(|known| known == port))
            .take(RANGE.len());
        let listener = known
            .into_iter()
            .chain(others)
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .with_context(|| format!("no free port on 127.0.0.1 for {name}"))?;
        let port = listener.local_addr()?.port();
        self.known.insert(name.to_owned(), port);
        self.held.insert(name.to_owned(), listener);
        Ok(port)
    }

    /// Ends a reservation. To be called just before the owner binds the port.
    pub(crate) fn release(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// Reserves a port and hands over its listener.
    pub(crate) fn listen(&mut self, name: &str) -> Result<(u16, tokio::net::TcpListener)> {
        let port = self.reserve(name)?;
        let listener = self.held.remove(name).context("the port is held")?;
        listener.set_nonblocking(true)?;
        Ok((port, tokio::net::TcpListener::from_std(listener)?))
    }

    /// Returns every port, for the next start.
    pub(crate) fn known(&self) -> BTreeMap<String, u16> {
        self.known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_is_replaced() {
        let mut first = Ports::new(BTreeMap::new());
        let api = first.reserve("api").unwrap();
        let redis = first.reserve("redis").unwrap();
        assert_ne!(api, redis);
        first.release("redis");

        // The first owner still holds `api`.
        let mut second = Ports::new(first.known());
        assert_ne!(second.reserve("api").unwrap(), api);
        assert_eq!(second.reserve("redis").unwrap(), redis);
    }
}

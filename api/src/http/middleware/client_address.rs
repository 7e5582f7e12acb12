//! Which address a request really comes from: the nearest one that is not a proxy of ours.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use poem::http::HeaderMap;
use poem::{Addr, Endpoint, Middleware, Request};

use crate::http::origin::ClientIp;

/// Believes X-Forwarded-For as far as trusted proxies wrote it.
#[derive(Clone)]
pub struct ClientAddress {
    trusted: Vec<IpNet>,
}

impl ClientAddress {
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// From the peer outwards, the first address that no proxy of ours has.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer;
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.trusts(nearest) {
                break;
            }
            match hop.trim().parse() {
                Ok(address) => nearest = address,
                // Whatever stands beyond it is not to be believed.
                Err(_) => break,
            }
        }
        nearest
    }
}

pub struct Addressed<E> {
    inner: E,
    addresses: ClientAddress,
}

impl<E: Endpoint> Middleware<E> for ClientAddress {
    type Output = Addressed<E>;

    fn transform(&self, inner: E) -> Addressed<E> {
        Addressed { inner, addresses: self.clone() }
    }
}

impl<E: Endpoint> Endpoint for Addressed<E> {
    type Output = E::Output;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<E::Output>> + Send {
        let peer = match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip(),
            Addr::Unix(_) | Addr::Custom(..) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let client = self.addresses.behind(peer, request.headers());
        request.set_data(ClientIp(client.to_canonical()));
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn behind(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).expect("a header"));
        }
        let trusted = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        ClientAddress::new(trusted).behind(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let proxies = ["10.0.0.0/8", "::1/128"];
        assert_eq!(behind(&[], "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(behind(&proxies, "203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(behind(&proxies, "10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(behind(&proxies, "10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(behind(&proxies, "10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(behind(&proxies, "::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(behind(&proxies, "10.0.0.1", &["198.51.100.1, nonsense"]), "10.0.0.1");
        assert_eq!(behind(&proxies, "10.0.0.1", &[]), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_cannot_choose_its_address(forwarded in "[0-9a-f.:, ]{0,60}") {
            prop_assert_eq!(behind(&["10.0.0.0/8"], "203.0.113.9", &[&forwarded]), "203.0.113.9");
        }
    }
}

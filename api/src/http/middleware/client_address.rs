//! The client address of a request: the nearest address that is not a trusted proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use poem::http::HeaderMap;
use poem::{Addr, Endpoint, Middleware, Request};

use crate::http::origin::ClientIp;

/// Determines the client address from `X-Forwarded-For`, as far as trusted proxies wrote it.
#[derive(Clone)]
pub struct ClientAddress {
    trusted: Vec<IpNet>,
    /// Whether a malformed entry has been logged. A proxy that writes one writes it with every
    /// request.
    has_warned: Arc<AtomicBool>,
}

impl ClientAddress {
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self {
            trusted,
            has_warned: Arc::default(),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    }

    /// Returns the first address, from the peer outwards, that is not a trusted proxy.
    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer;
        // Lossy: bytes from a client must not hide what a proxy appended to the same line.
        let lines: Vec<_> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        // Empty elements of a list are ignored (RFC 9110, section 5.6.1).
        let hops = lines
            .iter()
            .rev()
            .flat_map(|line| line.rsplit(','))
            .map(str::trim);
        for hop in hops.filter(|hop| !hop.is_empty()) {
            if !self.trusts(nearest) {
                break;
            }
            let Some(address) = parse_entry(hop) else {
                // Entries beyond a malformed one cannot be trusted.
                self.warn_once(nearest);
                break;
            };
            nearest = address;
        }
        nearest
    }

    /// Logs the proxy but not the entry, which may come from a client.
    fn warn_once(&self, proxy: IpAddr) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %proxy,
                "malformed X-Forwarded-For entry from a trusted proxy; its clients share one address"
            );
        }
    }
}

/// Parses an entry: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or
/// `[2001:db8::1]:4711`.
fn parse_entry(hop: &str) -> Option<IpAddr> {
    let bracketed = || {
        hop.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6)
    };
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

pub struct ClientAddressEndpoint<E> {
    inner: E,
    addresses: ClientAddress,
}

impl<E: Endpoint> Middleware<E> for ClientAddress {
    type Output = ClientAddressEndpoint<E>;

    fn transform(&self, inner: E) -> ClientAddressEndpoint<E> {
        ClientAddressEndpoint {
            inner,
            addresses: self.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for ClientAddressEndpoint<E> {
    type Output = E::Output;

    // Not an async fn: its future would hold the request twice.
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<E::Output>> + Send {
        let peer = match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip(),
            Addr::Unix(_) | Addr::Custom(..) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let client = self.addresses.client_address(peer, request.headers());
        request.set_data(ClientIp(client.to_canonical()));
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn client_address(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(
                "x-forwarded-for",
                HeaderValue::from_str(line).expect("a header"),
            );
        }
        let trusted = trusted
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect();
        ClientAddress::new(trusted)
            .client_address(peer.parse().expect("an address"), &headers)
            .to_string()
    }

    #[test]
    fn only_entries_of_trusted_proxies_count() {
        let proxies = ["10.0.0.0/8", "::1/128"];
        assert_eq!(
            client_address(&[], "203.0.113.9", &["198.51.100.1"]),
            "203.0.113.9"
        );
        assert_eq!(
            client_address(&proxies, "203.0.113.9", &["198.51.100.1"]),
            "203.0.113.9"
        );
        assert_eq!(
            client_address(&proxies, "10.0.0.1", &["198.51.100.1"]),
            "198.51.100.1"
        );
        assert_eq!(
            client_address(&proxies, "10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.9.9.9"]),
            "198.51.100.1"
        );
        assert_eq!(
            client_address(&proxies, "10.0.0.1", &["1.1.1.1", "198.51.100.1"]),
            "198.51.100.1"
        );
        assert_eq!(
            client_address(&proxies, "::1", &["2001:db8::7"]),
            "2001:db8::7"
        );
        assert_eq!(
            client_address(&proxies, "10.0.0.1", &["198.51.100.1, nonsense"]),
            "10.0.0.1"
        );
        assert_eq!(client_address(&proxies, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn entries_with_ports_and_brackets_are_parsed() {
        let proxies = ["10.0.0.0/8"];
        for (entry, address) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("198.51.100.1:4711, 10.0.0.2:80", "198.51.100.1"),
            ("198.51.100.1, , 10.0.0.2,", "198.51.100.1"),
        ] {
            assert_eq!(
                client_address(&proxies, "10.0.0.1", &[entry]),
                address,
                "{entry}"
            );
        }
        for entry in [
            "unknown",
            "_hidden",
            "198.51.100.1:99999",
            "198.51.100.256",
            "[198.51.100.1]",
            "::1]:80",
        ] {
            assert_eq!(
                client_address(&proxies, "10.0.0.1", &[&format!("203.0.113.9, {entry}")]),
                "10.0.0.1",
                "{entry}"
            );
        }
    }

    #[test]
    fn invalid_bytes_do_not_hide_what_a_proxy_appended() {
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"\xff\xfe, 198.51.100.1").expect("a header");
        headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
        headers.append("x-forwarded-for", line);
        let addresses = ClientAddress::new(vec!["10.0.0.0/8".parse().expect("a network")]);
        let client = addresses.client_address("10.0.0.1".parse().expect("an address"), &headers);
        assert_eq!(client.to_string(), "198.51.100.1");
    }

    /// Counts log events.
    struct Counter(Arc<AtomicUsize>);

    impl tracing::Subscriber for Counter {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
            tracing::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &tracing::Id) {}
        fn exit(&self, _: &tracing::Id) {}
    }

    #[test]
    fn a_malformed_entry_of_a_trusted_proxy_is_logged_once() {
        let logged = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Counter(logged.clone()), || {
            let addresses = ClientAddress::new(vec!["10.0.0.0/8".parse().expect("a network")]);
            let mut headers = HeaderMap::new();
            headers.append("x-forwarded-for", HeaderValue::from_static("unknown"));
            addresses.client_address("203.0.113.9".parse().expect("an address"), &headers);
            assert_eq!(
                logged.load(Ordering::Relaxed),
                0,
                "an untrusted peer must not cause a warning"
            );
            for proxy in ["10.0.0.1", "10.0.0.2", "10.0.0.1"] {
                addresses.client_address(proxy.parse().expect("an address"), &headers);
            }
        });
        assert_eq!(logged.load(Ordering::Relaxed), 1);
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_cannot_choose_its_address(forwarded in "[0-9a-f.:, ]{0,60}") {
            prop_assert_eq!(client_address(&["10.0.0.0/8"], "203.0.113.9", &[&forwarded]), "203.0.113.9");
        }
    }
}

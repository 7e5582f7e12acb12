//! What is told of the scanner for viruses: where it is, and what becomes of files that it does not look at.

use strum::{Display, EnumString};

use super::value::Value;
use crate::clamd::Address;

impl Value for Address {
    const KIND: &'static str = "host:port or unix:/path";
    fn parse(text: &str) -> Result<Self, String> {
        let socket = text
            .strip_prefix("unix:")
            .map(|path| path.starts_with('/').then(|| Self::Unix(path.into())));
        let address = socket.unwrap_or_else(|| {
            let (host, port) = text.rsplit_once(':')?;
            let is_host = !host.is_empty()
                && !host.contains(['/', '@'])
                && !host.contains(char::is_whitespace);
            let port: u16 = port.parse().ok()?;
            (is_host && port > 0).then(|| Self::Tcp(text.to_owned()))
        });
        address.ok_or_else(|| {
            "an address like clamd:3310, or unix:/run/clamav/clamd.ctl, is expected".to_owned()
        })
    }
    fn show(&self) -> String {
        match self {
            Self::Tcp(address) => address.clone(),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// What becomes of a file that is larger than the scanner takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum TooLargeToScan {
    /// Nobody can download it.
    Refuse,
    /// It is available as if it were clean.
    Allow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_is_at_a_port_or_at_a_socket() {
        for text in [
            "clamd:3310",
            "127.0.0.1:3310",
            "[::1]:3310",
            "unix:/run/clamav/clamd.ctl",
        ] {
            assert_eq!(Address::parse(text).expect("is read").show(), text);
        }
        for text in [
            "clamd",
            ":3310",
            "clamd:0",
            "clamd:70000",
            "unix:clamd.ctl",
            "unix:",
            "tcp://clamd:3310",
            "a b:1",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }
}

//! Setting types of the virus scanner: its address, and the treatment of files that are too large
//! for it.

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
            "expected an address like clamd:3310 or unix:/run/clamav/clamd.ctl".to_owned()
        })
    }
    fn show(&self) -> String {
        match self {
            Self::Tcp(address) => address.clone(),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// The treatment of files that are larger than the scanner's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum TooLargeToScan {
    /// No user can download the file.
    Refuse,
    /// The file is available, as if it were clean.
    Allow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_unix_socket() {
        for text in [
            "clamd:3310",
            "127.0.0.1:3310",
            "[::1]:3310",
            "unix:/run/clamav/clamd.ctl",
        ] {
            assert_eq!(Address::parse(text).expect("a valid address").show(), text);
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

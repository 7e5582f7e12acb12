//! What a session seems to run on, by its User-Agent: good enough for a person to know his own devices by.

use std::fmt;

/// A program, and the system that it runs on where that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    program: &'static str,
    system: Option<&'static str>,
}

/// The mark of each, the special ones before those that they also claim to be.
const PROGRAMS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("okhttp", "OkHttp"),
    ("Dart/", "Dart"),
    ("python", "Python"),
    ("node", "Node.js"),
    ("Go-http-client", "Go"),
];
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

impl Client {
    /// `None` where nothing is recognised.
    pub fn of(user_agent: &str) -> Option<Self> {
        let find = |marks: &[(&str, &'static str)]| {
            marks
                .iter()
                .find(|(mark, _)| user_agent.contains(mark))
                .map(|(_, name)| *name)
        };
        Some(Self {
            program: find(PROGRAMS)?,
            system: find(SYSTEMS),
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        self.system
            .map_or(Ok(()), |system| write!(f, " on {system}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_clients_are_recognised_and_others_are_not_guessed_at() {
        for (user_agent, client) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36 Edg/142.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19.0 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.9.1", "curl"),
        ] {
            assert_eq!(
                Client::of(user_agent)
                    .map(|client| client.to_string())
                    .as_deref(),
                Some(client)
            );
        }
        assert_eq!(Client::of("something else"), None);
    }
}

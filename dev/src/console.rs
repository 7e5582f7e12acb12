//! What `cargo dev` says: its own notes on stderr, the logs of all processes
//! with a coloured prefix on stdout, and both in files.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};

/// Bright, distinct and readable on dark and light backgrounds.
const COLOURS: [u8; 8] = [36, 33, 35, 32, 34, 96, 95, 93];

/// One of our own lines, on stderr.
pub(crate) fn note(text: &str) {
    say("cargo dev", 36, text);
}

/// A failure in our own words, on stderr.
pub(crate) fn complain(text: &str) {
    say("cargo dev: error", 31, text);
}

/// One line of a command's result, on stdout. A closed pipe is no failure.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn say(prefix: &str, colour: u8, text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = if stderr.is_terminal() {
        writeln!(stderr, "\x1b[{colour};1m{prefix}\x1b[0m {text}")
    } else {
        writeln!(stderr, "{prefix}: {text}")
    };
}

/// Receives the output of the supervised processes.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    echo: bool,
    colour: bool,
    folder: Arc<Path>,
}

impl Logs {
    /// Writes to files in `folder`, and to stdout as well when `echo` is set.
    pub(crate) fn new(folder: &Path, echo: bool) -> Self {
        Self {
            echo,
            colour: io::stdout().is_terminal(),
            folder: folder.into(),
        }
    }

    /// Opens `name`'s log; the previous run's is kept beside it as `name.log.1`.
    pub(crate) fn open(&self, name: &str) -> Result<Log> {
        let path = self.folder.join(format!("{name}.log"));
        if path.exists() {
            fs::rename(&path, self.folder.join(format!("{name}.log.1")))
                .with_context(|| format!("rotating {}", path.display()))?;
        }
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Log {
            file: Arc::new(Mutex::new(file)),
            prefix: self.echo.then(|| self.prefix(name)),
        })
    }

    fn prefix(&self, name: &str) -> String {
        if !self.colour {
            return format!("{name:<8} | ");
        }
        let sum = name.bytes().map(usize::from).sum::<usize>();
        let colour = COLOURS[sum % COLOURS.len()];
        format!("\x1b[{colour}m{name:<8} |\x1b[0m ")
    }
}

/// The log of one process.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    file: Arc<Mutex<File>>,
    prefix: Option<String>,
}

impl Log {
    /// The file itself, for a process whose lines nobody watches: it writes them
    /// without our help.
    pub(crate) fn direct(&self) -> Option<File> {
        if self.prefix.is_some() {
            return None;
        }
        self.file.lock().ok()?.try_clone().ok()
    }

    /// Takes one line without its end. A full disk or a closed terminal must not
    /// take the product down, so failures are dropped.
    pub(crate) fn line(&self, line: &[u8]) {
        let mut whole = Vec::with_capacity(line.len() + 32);
        whole.extend_from_slice(line);
        whole.push(b'\n');
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all(&whole);
        }
        if let Some(prefix) = &self.prefix {
            whole.splice(0..0, prefix.bytes());
            let _ = io::stdout().lock().write_all(&whole);
        }
    }
}

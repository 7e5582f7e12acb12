//! The output of `cargo dev`: notes on stderr, and the logs of all processes in files and on
//! stdout.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};

/// ANSI colours that are readable on dark and light backgrounds.
const COLOURS: [u8; 8] = [36, 33, 35, 32, 34, 96, 95, 93];

/// Prints a note on stderr.
pub fn note(text: &str) {
    say("cargo dev", 36, text);
}

/// Prints an error on stderr.
pub fn complain(text: &str) {
    say("cargo dev: error", 31, text);
}

/// Prints a line of a command's result on stdout. A closed pipe is no error.
pub fn print(text: &str) {
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

/// The logs of the supervised processes.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    echo: bool,
    folder: Arc<Path>,
}

impl Logs {
    /// Writes to files in `folder`, and also to stdout if `echo` is set.
    pub(crate) fn new(folder: &Path, echo: bool) -> Self {
        Self {
            echo,
            folder: folder.into(),
        }
    }

    /// Opens a log. That of the previous run becomes `NAME.log.1`.
    pub(crate) fn open(&self, name: &str) -> Result<Log> {
        let path = self.folder.join(format!("{name}.log"));
        if path.exists() {
            fs::rename(&path, self.folder.join(format!("{name}.log.1")))
                .with_context(|| format!("rotating {}", path.display()))?;
        }
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Log {
            file: Arc::new(Mutex::new(file)),
            prefix: self.echo.then(|| prefix(name)),
        })
    }
}

fn prefix(name: &str) -> String {
    if !io::stdout().is_terminal() {
        return format!("{name:<8} | ");
    }
    let sum = name.bytes().map(usize::from).sum::<usize>();
    let colour = COLOURS[sum % COLOURS.len()];
    format!("\x1b[{colour}m{name:<8} |\x1b[0m ")
}

/// The log of one process.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    file: Arc<Mutex<File>>,
    prefix: Option<String>,
}

impl Log {
    /// Returns the file, if the process can write to it directly because its lines are not echoed.
    pub(crate) fn direct(&self) -> Option<File> {
        if self.prefix.is_some() {
            return None;
        }
        self.file.lock().ok()?.try_clone().ok()
    }

    /// Writes one line. Ignores errors: a full disk or a closed terminal must not stop the stack.
    pub(crate) fn line(&self, line: &[u8]) {
        let line = [line, b"\n"].concat();
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all(&line);
        }
        if let Some(prefix) = &self.prefix {
            let _ = io::stdout()
                .lock()
                .write_all(&[prefix.as_bytes(), &line].concat());
        }
    }
}

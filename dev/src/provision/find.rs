//! Finding programs where the usual packages put them, newest first, and asking
//! each for its version before trusting it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// PostgreSQL's programs of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postgres {
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
}

impl Postgres {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Folders of which each subfolder may be one release of PostgreSQL.
const POSTGRES_HOMES: [&str; 6] = [
    "/usr/lib/postgresql",
    "/usr/local/lib/postgresql",
    "/opt/homebrew/opt",
    "/usr/local/opt",
    "/Library/PostgreSQL",
    "/Applications/Postgres.app/Contents/Versions",
];

/// Folders that are not on everybody's PATH.
const MORE_PLACES: [&str; 5] = [
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/usr/bin",
];

/// The newest PostgreSQL from 14 on, or exactly this release.
pub(crate) fn postgres(major: Option<u32>) -> Option<Postgres> {
    let on_path = places("postgres").into_iter().filter_map(|path| {
        let real = path.canonicalize().ok()?;
        real.parent().map(Path::to_owned)
    });
    let packaged = POSTGRES_HOMES
        .iter()
        .filter_map(|home| fs::read_dir(home).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let mut found: Vec<Postgres> = on_path
        .chain(packaged)
        .filter(|bin| {
            ["postgres", "initdb", "createdb"]
                .iter()
                .all(|name| bin.join(name).is_file())
        })
        .filter_map(|bin| {
            let (found, _) = version(&bin.join("postgres"))?;
            Some(Postgres { bin, major: found })
        })
        .filter(|found| major.map_or(found.major >= 14, |major| found.major == major))
        .collect();
    found.sort_by_key(|found| found.major);
    found.pop()
}

/// A redis-server from 6.2 on.
pub(crate) fn redis() -> Option<PathBuf> {
    places("redis-server")
        .into_iter()
        .find(|path| version(path).is_some_and(|version| version >= (6, 2)))
}

pub(crate) fn nginx() -> Option<PathBuf> {
    places("nginx").into_iter().next()
}

/// libfaketime for programs with several threads. Debian keeps it in a folder that is named after the machine.
pub(crate) fn faketime() -> Option<PathBuf> {
    let libraries = fs::read_dir("/usr/lib")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    libraries
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file())
}

/// A Python that can make virtual environments. Debian's can only with the
/// package python3-venv, which is what brings ensurepip.
pub(crate) fn python_with_venv() -> Option<PathBuf> {
    places("python3").into_iter().find(|path| {
        Command::new(path)
            .args(["-c", "import venv, ensurepip"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Every file of this name on PATH and in the usual places.
pub(crate) fn places(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(MORE_PLACES.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .filter(|file| file.is_file())
        .collect()
}

/// What a program says of its version: major and minor.
fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The first number that looks like a version: `15.18`, `v=7.0.15`, `17beta1`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let word = word.strip_prefix("v=").unwrap_or(word);
        let mut numbers = word.split(|symbol: char| !symbol.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers
            .next()
            .and_then(|minor| minor.parse().ok())
            .unwrap_or(0);
        Some((major, minor))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        let seen = [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                (15, 18),
            ),
            ("postgres (PostgreSQL) 18beta1", (18, 0)),
            (
                "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64",
                (7, 0),
            ),
            ("Redis server v=6.2.1", (6, 2)),
        ];
        for (text, version) in seen {
            assert_eq!(parse_version(text), Some(version), "{text}");
        }
        assert_eq!(parse_version("no such thing"), None);
    }
}

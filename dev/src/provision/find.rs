//! Programs in the folders of Debian's packages, with the versions that they print.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// PostgreSQL's programs of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    pub(crate) bin: PathBuf,
    major: u32,
}

impl Postgres {
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Each subfolder of these is one release of PostgreSQL.
const POSTGRES_HOMES: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"];

/// Folders that PATH may lack.
const MORE_PLACES: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"];

/// Returns the newest PostgreSQL from 14 on, or the release `major`.
pub(super) fn postgres(major: Option<u32>) -> Option<Postgres> {
    let on_path = places("postgres").into_iter();
    let on_path = on_path.filter_map(|path| Some(path.canonicalize().ok()?.parent()?.to_owned()));
    let packaged = POSTGRES_HOMES
        .iter()
        .filter_map(|home| fs::read_dir(home).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    on_path
        .chain(packaged)
        .filter(|bin| {
            ["initdb", "psql"]
                .iter()
                .all(|name| bin.join(name).is_file())
        })
        .filter_map(|bin| {
            let (major, _) = version(&bin.join("postgres"))?;
            Some(Postgres { bin, major })
        })
        .filter(|found| major.map_or(found.major >= 14, |major| found.major == major))
        .max_by_key(|found| found.major)
}

/// Returns a redis-server from 6.2 on.
pub(super) fn redis() -> Option<PathBuf> {
    let mut servers = places("redis-server").into_iter();
    servers.find(|path| version(path).is_some_and(|version| version >= (6, 2)))
}

/// Returns libfaketime for programs with several threads, which is in a folder named after the
/// architecture.
pub(super) fn faketime() -> Option<PathBuf> {
    let mut folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    folders.find_map(|folder| {
        let library = folder.path().join("faketime/libfaketimeMT.so.1");
        library.is_file().then_some(library)
    })
}

/// Returns a Python that can make virtual environments, for which Debian has a package of its own.
pub(super) fn python_with_venv() -> Option<PathBuf> {
    places("python3").into_iter().find(|path| {
        let mut python = Command::new(path);
        let output = python.args(["-c", "import venv, ensurepip"]).output();
        output.is_ok_and(|output| output.status.success())
    })
}

/// Returns every file of this name on PATH and in the usual folders.
pub(crate) fn places(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(MORE_PLACES.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .filter(|file| file.is_file())
        .collect()
}

/// Returns the major and minor version that a program prints.
fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Returns the first version in a text: `15.18`, `v=7.0.15`, `17beta1`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let word = word.strip_prefix("v=").unwrap_or(word);
        let mut numbers = word.split(|symbol: char| !symbol.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|minor| minor.parse().ok());
        Some((major, minor.unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        for (text, version) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                (15, 18),
            ),
            ("postgres (PostgreSQL) 18beta1", (18, 0)),
            ("Redis server v=7.0.15 sha=00000000:0 bits=64", (7, 0)),
        ] {
            assert_eq!(parse_version(text), Some(version), "{text}");
        }
        assert_eq!(parse_version("no such thing"), None);
    }
}

//! A ZIP archive of several files, streamed without compression. Each file is opened after the
//! previous one was sent, so that only one chunk is in memory.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt as _};
use plinth_core::Error;
use plinth_core::files::{Content, Download, Files};
use time::OffsetDateTime;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::http::failure::{Failure, Result};

/// A file of this size or more, in bytes, needs the fields of ZIP64.
const ZIP64_MIN_BYTES: u64 = u32::MAX as u64;

/// The maximum length of an extracted file name, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// Returns the bytes of the archive. An error at the start of the first file is returned; later
/// errors end the stream.
pub(super) async fn archive(
    files: &Files,
    contents: Vec<Content>,
) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
    let names = unique_names(contents.iter().map(|content| content.name.as_str()));
    let buffer = WriteBuffer::default();
    let archive = ArchiveStream {
        files: files.clone(),
        waiting: names
            .into_iter()
            .zip(contents)
            .collect::<Vec<_>>()
            .into_iter(),
        open: None,
        zip: Some(ZipWriter::new_stream(buffer.clone())),
        buffer,
    };
    let mut bytes = stream::unfold(Some(archive), next).boxed();
    let first = bytes.next().await.transpose()?;
    Ok(stream::iter(first.map(Ok)).chain(bytes))
}

async fn next(archive: Option<ArchiveStream>) -> Option<(Result<Bytes>, Option<ArchiveStream>)> {
    let mut archive = archive?;
    match archive.step().await {
        Ok(Some(bytes)) => Some((Ok(bytes), Some(archive))),
        Ok(None) => None,
        Err(error) => Some((Err(error), None)),
    }
}

struct ArchiveStream {
    files: Files,
    waiting: std::vec::IntoIter<(String, Content)>,
    /// The file that is being written.
    open: Option<Download>,
    /// `None` at the end.
    zip: Option<ZipWriter<StreamWriter<WriteBuffer>>>,
    buffer: WriteBuffer,
}

impl ArchiveStream {
    /// Returns the next bytes of the archive, or `None` at its end.
    async fn step(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(zip) = self.zip.as_mut() else {
                return Ok(None);
            };
            if let Some(open) = &mut self.open {
                if let Some(bytes) = open.next().await {
                    zip.write_all(&bytes.map_err(internal)?).map_err(internal)?;
                    return Ok(Some(self.buffer.take()));
                }
                self.open = None;
            } else if let Some((name, content)) = self.waiting.next() {
                zip.start_file(name, options(&content)).map_err(internal)?;
                let unlocked = self.files.unlock(&content).await?;
                self.open = Some(self.files.open(unlocked, None).await?);
            } else if let Some(zip) = self.zip.take() {
                zip.finish().map_err(internal)?;
                return Ok(Some(self.buffer.take()));
            }
        }
    }
}

fn options(content: &Content) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(content.size >= ZIP64_MIN_BYTES)
        .last_modified_time(zip_time(content.last_modified))
}

/// Converts a time to UTC, because the format has no offset. A time before 1980 becomes the first
/// one that the format has.
fn zip_time(at: OffsetDateTime) -> DateTime {
    let year = u16::try_from(at.year()).unwrap_or_default();
    DateTime::from_date_and_time(
        year,
        at.month().into(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
    )
    .unwrap_or_default()
}

fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Error::internal(error).into()
}

/// The bytes that the ZIP writer has written and that are not sent yet.
#[derive(Clone, Default)]
struct WriteBuffer(Arc<Mutex<BytesMut>>);

impl WriteBuffer {
    fn take(&self) -> Bytes {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .split()
            .freeze()
    }
}

impl Write for WriteBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns file names that every system can extract and that differ without regard to case.
/// Duplicates get a number.
fn unique_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .map(|name| {
            let name = sanitize(name);
            let numbered = (2..).map(|number| with_number(&name, number));
            std::iter::once(truncate(&name, MAX_NAME_BYTES).to_owned())
                .chain(numbered)
                .find(|name| taken.insert(name.to_lowercase()))
                .unwrap_or(name)
        })
        .collect()
}

/// Replaces what is special on Windows: separators, streams, wildcards, devices, and endings that
/// it drops.
fn sanitize(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_control() || r#"<>:"/\|?*"#.contains(c) {
                '_'
            } else {
                c
            }
        })
        .collect();
    let plain = plain.trim_end_matches(['.', ' ']);
    let stem = plain
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_uppercase();
    let is_device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || stem
            .strip_prefix("COM")
            .or(stem.strip_prefix("LPT"))
            .is_some_and(|rest| {
                rest.chars().count() == 1
                    && rest
                        .chars()
                        .all(|c| c.is_ascii_digit() || "¹²³".contains(c))
            });
    if plain.is_empty() || is_device {
        format!("_{plain}")
    } else {
        plain.to_owned()
    }
}

/// Inserts a number before the extension, if there is one: `a (2).txt`.
fn with_number(name: &str, number: u32) -> String {
    let dot = name
        .rfind('.')
        .filter(|dot| *dot > 0 && name.len() - dot <= 16)
        .unwrap_or(name.len());
    let (stem, ending) = name.split_at(dot);
    let number = format!(" ({number})");
    let stem = truncate(stem, MAX_NAME_BYTES - number.len() - ending.len());
    format!("{stem}{number}{ending}")
}

/// Truncates a text to a number of bytes, at a character boundary.
fn truncate(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn duplicate_names_get_a_number() {
        let names = [
            "a.txt",
            "A.TXT",
            "a.txt",
            "a (2).txt",
            "b",
            "b",
            ".x",
            ".x",
            "a.tar.gz",
            "a.tar.gz",
        ];
        let expected = [
            "a.txt",
            "A (2).TXT",
            "a (3).txt",
            "a (2) (2).txt",
            "b",
            "b (2)",
            ".x",
            ".x (2)",
            "a.tar.gz",
            "a.tar (2).gz",
        ];
        assert_eq!(unique_names(names.into_iter()), expected);
    }

    #[test]
    fn a_name_is_safe_to_extract_on_every_system() {
        for (name, expected) in [
            ("plan.txt", "plan.txt"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("C:\\a*?.txt", "C__a__.txt"),
            ("nul.txt", "_nul.txt"),
            ("COM1", "_COM1"),
            ("com10", "com10"),
            ("end. .", "end"),
            ("..", "_"),
            ("Grüße.txt", "Grüße.txt"),
        ] {
            assert_eq!(sanitize(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn names_are_unique_and_not_too_long(names in prop::collection::vec("[ab./\\\\ü:]{0,3}|[ü.]{127}", 1..12)) {
            let made = unique_names(names.iter().map(String::as_str));
            prop_assert_eq!(made.len(), names.len());
            let alike: HashSet<_> = made.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(alike.len(), made.len());
            for name in made {
                prop_assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(['/', '\\', ':']));
            }
        }
    }
}

//! Several files as one ZIP archive, made while it is sent: stored and not compressed, each opened when the one before it
//! was sent, so that one chunk is in memory whatever they take.

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

/// From so many bytes on a file needs the fields of ZIP64.
const LARGE: u64 = u32::MAX as u64;

/// Names of files that systems extract are no longer, in bytes.
const LONGEST_NAME: usize = 255;

/// The archive as it comes. What is wrong with the beginning of the first file is told at once; what goes wrong later
/// breaks it off.
pub(super) async fn archive(
    files: &Files,
    contents: Vec<Content>,
) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
    let names = distinct(contents.iter().map(|content| content.name.as_str()));
    let outbox = Outbox::default();
    let packing = Packing {
        files: files.clone(),
        waiting: names
            .into_iter()
            .zip(contents)
            .collect::<Vec<_>>()
            .into_iter(),
        open: None,
        zip: Some(ZipWriter::new_stream(outbox.clone())),
        outbox,
    };
    let mut packed = stream::unfold(Some(packing), next).boxed();
    let first = packed.next().await.transpose()?;
    Ok(stream::iter(first.map(Ok)).chain(packed))
}

async fn next(packing: Option<Packing>) -> Option<(Result<Bytes>, Option<Packing>)> {
    let mut packing = packing?;
    match packing.step().await {
        Ok(Some(bytes)) => Some((Ok(bytes), Some(packing))),
        Ok(None) => None,
        Err(error) => Some((Err(error), None)),
    }
}

struct Packing {
    files: Files,
    waiting: std::vec::IntoIter<(String, Content)>,
    /// The file that is being packed.
    open: Option<Download>,
    /// `None` at the end.
    zip: Option<ZipWriter<StreamWriter<Outbox>>>,
    outbox: Outbox,
}

impl Packing {
    /// The next bytes of the archive; `None` at its end.
    async fn step(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(zip) = self.zip.as_mut() else {
                return Ok(None);
            };
            if let Some(open) = &mut self.open {
                if let Some(bytes) = open.next().await {
                    zip.write_all(&bytes.map_err(internal)?).map_err(internal)?;
                    return Ok(Some(self.outbox.take()));
                }
                self.open = None;
            } else if let Some((name, content)) = self.waiting.next() {
                zip.start_file(name, options(&content)).map_err(internal)?;
                let unlocked = self.files.unlock(&content).await?;
                self.open = Some(self.files.open(unlocked, None).await?);
            } else if let Some(zip) = self.zip.take() {
                zip.finish().map_err(internal)?;
                return Ok(Some(self.outbox.take()));
            }
        }
    }
}

fn options(content: &Content) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(content.size >= LARGE)
        .last_modified_time(moment(content.last_modified))
}

/// In UTC: the format knows no offset. What is before its first year is its first moment.
fn moment(at: OffsetDateTime) -> DateTime {
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

/// What the archive's writer has written and nobody has sent yet.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<BytesMut>>);

impl Outbox {
    fn take(&self) -> Bytes {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .split()
            .freeze()
    }
}

impl Write for Outbox {
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

/// The names under which files are packed: such as every system can extract, and no two alike in any case of their
/// letters; what would be alike gets a number.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .map(|name| {
            let name = extractable(name);
            let numbered = (2..).map(|number| with_number(&name, number));
            std::iter::once(cut(&name, LONGEST_NAME).to_owned())
                .chain(numbered)
                .find(|name| taken.insert(name.to_lowercase()))
                .unwrap_or(name)
        })
        .collect()
}

/// Without what Windows takes for something else: separators, streams, wildcards, devices, endings that it drops.
fn extractable(name: &str) -> String {
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

/// `a (2).txt`: before the ending, where there is one.
fn with_number(name: &str, number: u32) -> String {
    let dot = name
        .rfind('.')
        .filter(|dot| *dot > 0 && name.len() - dot <= 16)
        .unwrap_or(name.len());
    let (stem, ending) = name.split_at(dot);
    let number = format!(" ({number})");
    let stem = cut(stem, LONGEST_NAME - number.len() - ending.len());
    format!("{stem}{number}{ending}")
}

/// At most so many bytes of it, in whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_are_alike_get_a_number() {
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
        assert_eq!(distinct(names.into_iter()), expected);
    }

    #[test]
    fn a_name_means_nothing_else_to_any_system() {
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
            assert_eq!(extractable(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_two_names_are_alike_and_none_is_too_long(names in prop::collection::vec("[ab./\\\\ü:]{0,3}|[ü.]{127}", 1..12)) {
            let made = distinct(names.iter().map(String::as_str));
            prop_assert_eq!(made.len(), names.len());
            let alike: HashSet<_> = made.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(alike.len(), made.len());
            for name in made {
                prop_assert!(!name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(['/', '\\', ':']));
            }
        }
    }
}

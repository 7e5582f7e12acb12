//! The files of a corpus, and their formats by their first bytes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Bytes that are enough for every signature.
const ENOUGH: u64 = 32;

/// Returns every regular file under a folder, in order. Links are not followed.
pub(super) fn under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the format of a file, or `None` if it is no picture by its first bytes.
pub(super) fn format(path: &Path) -> Result<Option<&'static str>> {
    let mut beginning = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(ENOUGH)
        .read_to_end(&mut beginning)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(signature(&beginning))
}

fn signature(beginning: &[u8]) -> Option<&'static str> {
    match beginning {
        [0xff, 0xd8, 0xff, ..] => Some("JPEG"),
        [0x89, b'P', b'N', b'G', ..] => Some("PNG"),
        [b'G', b'I', b'F', b'8', ..] => Some("GIF"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("WebP"),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some("TIFF"),
        // A text can begin so, too, but has no zeros.
        [b'B', b'M', rest @ ..] if rest.contains(&0) => Some("BMP"),
        [_, _, _, _, b'f', b't', b'y', b'p', brands @ ..] => of_brands(brands),
        _ => None,
    }
}

/// ISO/IEC 14496-12, section 4.3: what the file is, and what it can be read as.
fn of_brands(brands: &[u8]) -> Option<&'static str> {
    let (brands, _) = brands.as_chunks::<4>();
    if brands
        .iter()
        .any(|brand| matches!(brand, b"avif" | b"avis"))
    {
        return Some("AVIF");
    }
    let is_heif = matches!(
        brands.first()?,
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"
    );
    is_heif.then_some("HEIF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        for (beginning, format) in [
            (&b"\xff\xd8\xff\xe0"[..], Some("JPEG")),
            (b"\x89PNG\r\n\x1a\n", Some("PNG")),
            (b"GIF89a", Some("GIF")),
            (b"RIFF\0\0\0\0WEBPVP8L", Some("WebP")),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"MM\0\x2a\0\0\0\x08", Some("TIFF")),
            (b"II\x2b\0\x08\0\0\0", Some("TIFF")),
            (b"BM\0\0\0\0\0\0\0\0\x36", Some("BMP")),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", Some("AVIF")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Some("AVIF")),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some("HEIF")),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", None),
            (b"BMW is a car", None),
            (b"", None),
        ] {
            assert_eq!(signature(beginning), format, "{beginning:?}");
        }
    }

    #[test]
    fn files_are_found_in_every_folder_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        for name in ["b/c/3", "1", "b/2"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        let found = under(folder.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap())
            .collect();
        assert_eq!(names, ["1", "b/2", "b/c/3"].map(Path::new));
    }
}

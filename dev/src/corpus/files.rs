//! The files of a corpus, and their formats by their first bytes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Enough for every signature, also for a long list of brands of AVIF.
const SIGNATURE_BYTES: u64 = 512;

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
    let read = file.take(SIGNATURE_BYTES).read_to_end(&mut beginning);
    read.with_context(|| format!("reading {}", path.display()))?;
    Ok(of_signature(&beginning))
}

fn of_signature(beginning: &[u8]) -> Option<&'static str> {
    // BigTIFF, which infer does not know.
    if beginning.starts_with(b"II\x2b\0") || beginning.starts_with(b"MM\0\x2b") {
        return Some("TIFF");
    }
    name(infer::get(beginning)?.extension())
}

fn name(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "jpg" => "JPEG",
        "png" => "PNG",
        "gif" => "GIF",
        "webp" => "WebP",
        "tif" => "TIFF",
        "bmp" => "BMP",
        "avif" => "AVIF",
        "heif" => "HEIF",
        _ => return None,
    })
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
            (b"MM\0\x2a\0\0\0\x08\0\0\0\0", Some("TIFF")),
            (b"II\x2b\0\x08\0\0\0", Some("TIFF")),
            (b"BM\0\0\0\0\0\0\0\0\x36", Some("BMP")),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", Some("AVIF")),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some("HEIF")),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", None),
            (b"plain text", None),
        ] {
            assert_eq!(of_signature(beginning), format, "{beginning:?}");
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

//! Signatures of binary types. Where the signature that `infer` looks at is short, or could stand in other data by
//! accident, more of the header has to fit.

/// The first bytes of BigTIFF in both byte orders: the version 43, and offsets of 8 bytes. `infer` knows TIFF only.
const BIG_TIFF: [&[u8; 8]; 2] = [b"II\x2b\0\x08\0\0\0", b"MM\0\x2b\0\x08\0\0"];

/// The media type that the header of binary data shows.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if BIG_TIFF.iter().any(|magic| bytes.starts_with(*magic)) {
        return Some("image/tiff");
    }
    if let Some(kind) = infer::get(bytes)
        && fits(kind.extension(), bytes)
    {
        return Some(kind.mime_type());
    }
    // `infer` gives its first match only. Where that was an accident, the signature may be further in: a tar archive begins
    // with the name of its first file, which may be `BMW.txt`.
    further_in(bytes)
}

fn further_in(bytes: &[u8]) -> Option<&'static str> {
    if infer::archive::is_tar(bytes) {
        Some("application/x-tar")
    } else if infer::archive::is_dcm(bytes) {
        Some("application/dicom")
    } else if infer::book::is_mobi(bytes) {
        Some("application/x-mobipocket-ebook")
    } else {
        None
    }
}

/// Whether the header has what the format requires beyond its signature. The kinds that are missing here have a signature
/// of eight bytes or more, or one of four with bytes that no text has.
fn fits(extension: &str, bytes: &[u8]) -> bool {
    match extension {
        "exe" | "dll" => is_program(bytes),
        "obj" => is_object_file(bytes),
        "bc" => bytes.starts_with(b"BC\xc0\xde"),
        "der" => is_certificate(bytes),
        "jpg" => matches!(bytes.get(3), Some(0xc0..)),
        "gif" => bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
        "webp" => bytes.starts_with(b"RIFF") && has(bytes, 12, b"VP8"),
        "bmp" => is_bmp(bytes),
        "jxr" => matches!(bytes.get(3), Some(0 | 1)),
        "psd" => matches!(be16(bytes, 4), Some(1 | 2)),
        "ico" => is_icon(bytes),
        // A bare code stream has a signature of two bytes and, after it, bits.
        "jxl" => bytes.len() >= 16,
        "mov" => is_quicktime(bytes),
        "mpg" => is_mpeg(bytes),
        "flv" => matches!(bytes.get(4), Some(0 | 1 | 4 | 5)) && has(bytes, 5, &[0, 0, 0, 9]),
        "midi" => has(bytes, 4, &[0, 0, 0, 6]),
        "mp3" => is_id3(bytes) || is_mpeg_audio(bytes),
        "m4a" => has(bytes, 4, b"ftyp"),
        "ogg" => bytes.get(4) == Some(&0),
        "flac" => matches!(bytes.get(4), Some(0 | 0x80)) && has(bytes, 5, &[0, 0, 34]),
        "aac" => is_adts(bytes),
        "dsf" => has(bytes, 4, &28_u64.to_le_bytes()),
        "ape" => matches!(le16(bytes, 4), Some(3_000..5_000)),
        "ttf" | "otf" => is_font(bytes),
        "gz" => bytes.len() >= 10 && bytes[3] & 0xe0 == 0,
        "bz2" => is_bzip2(bytes),
        "bz3" => bytes.len() >= 9,
        "pdf" => is_pdf(bytes),
        "swf" => is_flash(bytes),
        "ps" => is_postscript(bytes),
        "sqlite" => bytes.starts_with(b"SQLite format 3\0"),
        "crx" => matches!(le32(bytes, 4), Some(2 | 3)),
        "cab" => {
            has(bytes, 4, &[0; 4])
                || (bytes.starts_with(b"ISc(") && matches!(bytes.get(7), Some(1 | 2 | 4)))
        }
        // The other magic of `infer`, 1F A0, has nothing after it to check.
        "Z" => {
            bytes.starts_with(&[0x1f, 0x9d])
                && bytes.get(2).is_some_and(|bits| is_compress_flags(*bits))
        }
        "lz" => {
            matches!(bytes.get(4), Some(0 | 1))
                && bytes
                    .get(5)
                    .is_some_and(|size| (12..=29).contains(&(size & 0x1f)))
        }
        "dcm" => has(bytes, 132, &[2, 0]),
        "cpio" => is_cpio(bytes),
        // Data with markup or `#!` in front that is no text.
        "html" | "xml" | "sh" | "pem" => false,
        _ => true,
    }
}

/// A Windows program, or one for DOS whose header makes sense.
fn is_program(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..28) else {
        return false;
    };
    let newer = le32(bytes, 0x3c).and_then(|at| bytes.get(usize::try_from(at).ok()?..));
    if newer.is_some_and(|newer| {
        [&b"PE\0\0"[..], b"NE", b"LE", b"LX"]
            .iter()
            .any(|magic| newer.starts_with(magic))
    }) {
        return true;
    }
    let field = |at| le16(header, at).unwrap_or_default();
    let (last_page, pages, header_size, relocations) =
        (field(2), field(4), u32::from(field(8)) * 16, field(24));
    last_page < 512
        && pages > 0
        && (32..=4096).contains(&header_size)
        && u32::from(relocations) <= header_size
}

/// COFF for i386 and x64: an object file has sections and no optional header, and section names begin with a dot (PE
/// format, section "COFF File Header").
fn is_object_file(bytes: &[u8]) -> bool {
    let is_machine = matches!(le16(bytes, 0), Some(0x014c | 0x8664));
    is_machine
        && matches!(le16(bytes, 2), Some(1..=0xfeff))
        && le16(bytes, 16) == Some(0)
        && matches!(bytes.get(20), Some(b'.' | b'/'))
        && bytes.len() >= 60
}

/// A SEQUENCE with a length of two bytes that begins with another one (RFC 5280, section 4.1). A key begins with an INTEGER.
fn is_certificate(bytes: &[u8]) -> bool {
    matches!(be16(bytes, 2), Some(128..))
        && bytes.get(4) == Some(&0x30)
        && matches!(bytes.get(5), Some(0x81 | 0x82))
}

/// The header's size is that of one of its versions, and there is one plane.
fn is_bmp(bytes: &[u8]) -> bool {
    match le32(bytes, 14) {
        Some(12) => le16(bytes, 22) == Some(1),
        Some(16 | 40 | 52 | 56 | 64 | 108 | 124) => le16(bytes, 26) == Some(1),
        _ => false,
    }
}

/// The first image of the directory is after the directory.
fn is_icon(bytes: &[u8]) -> bool {
    let (Some(images @ 1..), Some(0), Some(at)) = (le16(bytes, 4), bytes.get(9), le32(bytes, 18))
    else {
        return false;
    };
    at >= 6 + 16 * u32::from(images)
}

/// An atom of a size that is possible: at least its own header, or 0 and 1, which have meanings.
fn is_quicktime(bytes: &[u8]) -> bool {
    let is_movie = has(bytes, 4, b"ftyp") || has(bytes, 4, b"moov") || has(bytes, 4, b"mdat");
    let has_padding = [b"wide", b"skip", b"free"]
        .iter()
        .any(|padding| has(bytes, 4, *padding));
    let is_sized = matches!(be32(bytes, 0), Some(0 | 1 | 8..));
    is_sized && (is_movie || has_padding)
}

/// A pack header of MPEG-1 or MPEG-2, or a sequence header.
fn is_mpeg(bytes: &[u8]) -> bool {
    match bytes.get(3..12) {
        Some([0xba, stamp, ..]) => stamp & 0xc0 == 0x40 || stamp & 0xf0 == 0x20,
        Some([0xb3, width, height, ..]) => *width > 0 || *height > 0,
        Some([code, ..]) => matches!(code, 0xb0 | 0xb5),
        _ => false,
    }
}

/// An `ID3v2` tag: a version, and a size of four bytes of seven bits (`ID3v2.4.0`, section 3.1).
fn is_id3(bytes: &[u8]) -> bool {
    let Some([b'I', b'D', b'3', major, revision, _, size @ ..]) = bytes.get(..10) else {
        return false;
    };
    (2..=4).contains(major) && *revision != 0xff && size.iter().all(|byte| byte & 0x80 == 0)
}

/// A frame of MPEG audio, layer III, that the next one, or the end, follows.
fn is_mpeg_audio(bytes: &[u8]) -> bool {
    frame_length(bytes).is_some_and(|length| {
        bytes.len() == length || bytes.get(length..).and_then(frame_length).is_some()
    })
}

/// Bytes of the frame at the beginning (ISO/IEC 11172-3, section 2.4.2.3).
fn frame_length(bytes: &[u8]) -> Option<usize> {
    const KBIT_MPEG1: [usize; 15] = [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    const KBIT_MPEG2: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    const RATES: [usize; 3] = [44_100, 48_000, 32_000];
    let [0xff, version, settings, _] = bytes.get(..4)? else {
        return None;
    };
    let is_mpeg1 = match version & 0xfe {
        0xfa => true,
        0xf2 => false,
        _ => return None,
    };
    let index = usize::from(settings >> 4);
    let kbit = if is_mpeg1 {
        KBIT_MPEG1.get(index)?
    } else {
        KBIT_MPEG2.get(index)?
    };
    let rate = RATES.get(usize::from(settings >> 2 & 3))? / if is_mpeg1 { 1 } else { 2 };
    let padding = usize::from(settings >> 1 & 1);
    let samples_by_8 = if is_mpeg1 { 144 } else { 72 };
    // A free bit rate says nothing of the length.
    (*kbit > 0).then(|| samples_by_8 * kbit * 1000 / rate + padding)
}

/// A frame of AAC that the next one, or the end, follows (ISO/IEC 13818-7, section 6.2).
fn is_adts(bytes: &[u8]) -> bool {
    let Some([0xff, sync, rate, high, middle, low, _]) = bytes.get(..7) else {
        return false;
    };
    let length = usize::from(high & 3) << 11 | usize::from(*middle) << 3 | usize::from(low >> 5);
    rate >> 2 & 15 < 13
        && length >= 7
        && (bytes.len() == length || has(bytes, length, &[0xff, *sync]))
}

/// The number of tables, and the greatest power of two in it times 16 (OpenType, table directory).
fn is_font(bytes: &[u8]) -> bool {
    let (Some(tables @ 1..=0x0fff), Some(range)) = (be16(bytes, 4), be16(bytes, 6)) else {
        return false;
    };
    range == 16 << tables.ilog2()
}

/// A block, or the end of a stream without any.
fn is_bzip2(bytes: &[u8]) -> bool {
    let is_block =
        has(bytes, 4, b"\x31\x41\x59\x26\x53\x59") || has(bytes, 4, b"\x17\x72\x45\x38\x50\x90");
    matches!(bytes.get(3), Some(b'1'..=b'9')) && is_block
}

/// A header with its version, which readers accept in the first 1024 bytes.
fn is_pdf(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(1024)];
    beginning.windows(8).any(|header| {
        header.starts_with(b"%PDF-")
            && header[5].is_ascii_digit()
            && header[6] == b'.'
            && header[7].is_ascii_digit()
    })
}

/// `%!PS-Adobe-3.0`, or a first line that is `%!PS` (PostScript Document Structuring Conventions, section 5.1).
pub(super) fn is_postscript(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"%!PS") else {
        return false;
    };
    rest.starts_with(b"-Adobe") || matches!(rest.first(), Some(b'\r' | b'\n'))
}

/// A version, a length that a Flash film can have and, where it is compressed, the stream.
fn is_flash(bytes: &[u8]) -> bool {
    let is_sized = matches!(
        (bytes.get(3), le32(bytes, 4)),
        (Some(1..=60), Some(21..0x1000_0000))
    );
    is_sized && (bytes[0] == b'F' || bytes.get(8) == Some(&0x78))
}

/// 9 to 16 bits a code, and no bit that is reserved.
fn is_compress_flags(flags: u8) -> bool {
    flags & 0x60 == 0 && (9..=16).contains(&(flags & 0x1f))
}

/// The old binary header with a name that ends where it should, or the new one, which is of digits.
fn is_cpio(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"070701") {
        return bytes
            .get(6..110)
            .is_some_and(|fields| fields.iter().all(u8::is_ascii_hexdigit));
    }
    let size = if bytes.starts_with(&[0xc7, 0x71]) {
        le16(bytes, 20)
    } else {
        be16(bytes, 20)
    };
    let Some(size @ 2..=4096) = size else {
        return false;
    };
    bytes
        .get(26..26 + usize::from(size))
        .is_some_and(|name| name.iter().position(|byte| *byte == 0) == Some(name.len() - 1))
}

fn has(bytes: &[u8], at: usize, expected: &[u8]) -> bool {
    bytes
        .get(at..)
        .is_some_and(|rest| rest.starts_with(expected))
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

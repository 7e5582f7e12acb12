use proptest::prelude::*;

use super::*;

const OCTETS: &str = "application/octet-stream";

/// The type by the bytes alone.
fn by_bytes(bytes: &[u8]) -> &'static str {
    detect(bytes).media_type
}

/// A header of fields at their offsets, with zeros between and after them.
fn header(length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (at, field) in fields {
        bytes[*at..at + field.len()].copy_from_slice(field);
    }
    bytes
}

fn windows_program() -> Vec<u8> {
    header(0x90, &[(0, b"MZ"), (0x3c, &[0x80]), (0x80, b"PE\0\0")])
}

fn dos_program() -> Vec<u8> {
    header(
        64,
        &[
            (0, b"MZ"),
            (2, &[0x90]),
            (4, &[3]),
            (8, &[4]),
            (24, &[0x40]),
        ],
    )
}

fn bitmap() -> Vec<u8> {
    header(
        58,
        &[
            (0, b"BM"),
            (2, &[58]),
            (10, &[54]),
            (14, &[40]),
            (18, &[1]),
            (22, &[1]),
            (26, &[1, 0, 24]),
        ],
    )
}

fn tar_of(first: &str) -> Vec<u8> {
    header(512, &[(0, first.as_bytes()), (257, b"ustar\x0000")])
}

/// Frames of 128 kbit/s at 44.1 kHz.
fn mp3(frames: usize) -> Vec<u8> {
    header(417, &[(0, &[0xff, 0xfb, 0x90, 0])]).repeat(frames)
}

fn adts(frames: usize) -> Vec<u8> {
    header(16, &[(0, &[0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc])]).repeat(frames)
}

#[test]
fn a_header_shows_a_binary_type() {
    for (bytes, expected) in [
        (b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(), "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "image/png"),
        (b"GIF89a\x01\0\x01\0".to_vec(), "image/gif"),
        (b"RIFF\x20\0\0\0WEBPVP8L\0\0".to_vec(), "image/webp"),
        (b"II*\0\x08\0\0\0\0\0\0\0".to_vec(), "image/tiff"),
        (b"II\x2b\0\x08\0\0\0\x10".to_vec(), "image/tiff"),
        (b"MM\0\x2b\0\x08\0\0\0\0".to_vec(), "image/tiff"),
        (bitmap(), "image/bmp"),
        (
            header(26, &[(0, b"BM"), (14, &[12]), (22, &[1])]),
            "image/bmp",
        ),
        (
            header(40, &[(2, &[1, 0, 1, 0]), (18, &[22])]),
            "image/vnd.microsoft.icon",
        ),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), "image/heif"),
        (
            windows_program(),
            "application/vnd.microsoft.portable-executable",
        ),
        (
            dos_program(),
            "application/vnd.microsoft.portable-executable",
        ),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "application/gzip"),
        (b"BZh91AY&SY\0\0".to_vec(), "application/x-bzip2"),
        (b"\x1f\x9d\x90\0".to_vec(), "application/x-compress"),
        (b"LZIP\x01\x0c\0".to_vec(), "application/x-lzip"),
        (b"PK\x03\x04\x14\0".to_vec(), "application/zip"),
        (tar_of("notes.txt"), "application/x-tar"),
        (
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj".to_vec(),
            "application/pdf",
        ),
        (b"\0junk\xff%PDF-1.4\n".to_vec(), "application/pdf"),
        (
            b"SQLite format 3\0\x10\0".to_vec(),
            "application/vnd.sqlite3",
        ),
        (b"ID3\x04\0\0\0\0\x02\x01TIT2".to_vec(), "audio/mpeg"),
        (mp3(2), "audio/mpeg"),
        (mp3(1), "audio/mpeg"),
        (adts(2), "audio/aac"),
        (b"MThd\0\0\0\x06\0\x01".to_vec(), "audio/midi"),
        (b"OggS\0\x02\0\0".to_vec(), "audio/ogg"),
        (b"fLaC\0\0\0\x22".to_vec(), "audio/x-flac"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0".to_vec(), "video/quicktime"),
        (
            b"\0\0\x01\xba\x44\0\x04\0\x04\x01\0\0".to_vec(),
            "video/mpeg",
        ),
        (
            b"\0\x01\0\0\0\x0a\0\x80\0\x03\0\x20".to_vec(),
            "application/font-sfnt",
        ),
        (
            b"\x30\x82\x03\x05\x30\x82\x01\xed".to_vec(),
            "application/x-x509-ca-cert",
        ),
        (
            header(60, &[(0, &[0x64, 0x86, 3]), (20, b".text")]),
            "application/x-executable",
        ),
        (b"BC\xc0\xde\x35\x14".to_vec(), "application/x-llvm"),
    ] {
        assert_eq!(by_bytes(&bytes), expected, "{}", bytes.escape_ascii());
    }
}

/// Each begins with the signature of a type that it is not of.
#[test]
fn a_short_signature_alone_shows_nothing() {
    for bytes in [
        b"BM\0\x01\x02\x03".to_vec(),
        header(58, &[(0, b"BM"), (14, &[41]), (26, &[1])]),
        header(58, &[(0, b"BM"), (14, &[40]), (26, &[2])]),
        b"MZ\0\x01".to_vec(),
        header(64, &[(0, b"MZ"), (2, &[0, 2])]),
        b"GIF\x01\x02".to_vec(),
        b"II\xbc\x20\0".to_vec(),
        header(40, &[(2, &[1, 0, 1, 0]), (18, &[4])]),
        b"\xff\x0a\0".to_vec(),
        b"\xff\xfb".to_vec(),
        header(600, &[(0, &[0xff, 0xfb, 0x90, 0])]),
        header(64, &[(0, &[0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc])]),
        b"ID3 tags of \xfc".to_vec(),
        b"\x1f\x8b\x08".to_vec(),
        b"\x1f\xa0\0\0".to_vec(),
        b"\x1f\x9d\xff\0".to_vec(),
        b"BZhou\0".to_vec(),
        b"CWS\x01\0".to_vec(),
        b"FWS f\xfcr alle".to_vec(),
        b"\x30\x82\x04\xa3\x02\x01\0".to_vec(),
        b"\x64\x86\x01".to_vec(),
        b"\x4c\x01\0\0".to_vec(),
        b"\0\x02\0\0".to_vec(),
        b"BC\x01\0".to_vec(),
        b"\x71\xc7\0\0".to_vec(),
        b"\0\x01\0\0\0\0\0".to_vec(),
        b"\0\0\x01\xbf".to_vec(),
        b"%!\0\0".to_vec(),
        b"SQLi\0".to_vec(),
        b"#!AM\0".to_vec(),
        b"\0\x01\x02".to_vec(),
        b"".to_vec(),
        "ü".as_bytes()[..1].to_vec(),
    ] {
        assert_eq!(by_bytes(&bytes), OCTETS, "{}", bytes.escape_ascii());
    }
}

#[test]
fn an_archive_is_one_whatever_its_first_file_is_called() {
    for name in [
        "BMW.txt",
        "MZ.txt",
        "GIF",
        "BZh",
        "ID3.md",
        "CWS",
        "note-mdat.txt",
    ] {
        assert_eq!(by_bytes(&tar_of(name)), "application/x-tar", "{name}");
    }
}

#[test]
fn a_text_is_no_binary_type_whatever_it_begins_with() {
    for text in [
        "BMW is a car",
        "BM",
        "MZ is a postcode",
        "GIF is a format",
        "GIF89a=1;alert(1)",
        "II*tiff*",
        "ID3 tags name the artist",
        "BZh, said the bee",
        "BC comes before AD",
        "dex\nis short for index: the plain text has a p at 36",
        "PK is short for Phil Katz",
        "SQLi is an attack",
        "LZIP is a program",
        "OggS fLaC MThd 8BPS",
        "MAC addresses have six bytes",
        "DSD is audio",
        "MSCF ISc( Cr24",
        "FWS and CWS are films",
        "#!AMR\nis how AMR begins",
        "!<arch>\n",
        "070701070701",
        "xxxxmoov",
        "12345678WEBP",
        "%PDF-1.7 is how a PDF begins",
        "In the first kilobyte: %PDF-1.7",
        "%!PS is how PostScript begins",
        "{\\rtf is how RTF begins}",
        "-----BEGIN CERTIFICATE-----\nMIIB",
        "<!DOCTYPE html><script>alert(1)</script>",
        "<?xml version=\"1.0\"?><svg/>",
        "#!/bin/sh\nrm -rf /",
        "Grüße\n",
        "\u{feff}BMW fährt",
    ] {
        assert_eq!(by_bytes(text.as_bytes()), "text/plain", "{text}");
        assert_eq!(
            detect(text.as_bytes()).named("a.bmp"),
            "text/plain",
            "{text}"
        );
    }
}

#[test]
fn a_document_written_in_text_has_its_type() {
    for (text, expected) in [
        ("%PDF-1.7", "application/pdf"),
        ("%PDF-1.4\r\n1 0 obj\r\n", "application/pdf"),
        ("{\\rtf1\\ansi Hello}", "application/rtf"),
        ("%!PS-Adobe-3.0\n%%Pages: 1\n", "application/postscript"),
        ("%!PS\n1 0 0 setrgbcolor\n", "application/postscript"),
    ] {
        assert_eq!(by_bytes(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn the_extension_tells_forms_of_text_apart_if_the_content_allows_it() {
    let svg = "<?xml version=\"1.0\"?>\n<!-- <html> -->\n<!DOCTYPE svg [<!ENTITY a \"b\">]>\n<svg xmlns=\"x\"/>";
    for (text, name, expected) in [
        ("a,b\n1,2\n", "table.csv", "text/csv"),
        ("a,b\n1,2\n", "TABLE.CSV", "text/csv"),
        ("a,b\n1,2\n", "table.txt", "text/plain"),
        ("a,b\n1,2\n", "csv", "text/plain"),
        ("# Title\n", "readme.md", "text/markdown"),
        ("# Title\n", "readme.markdown", "text/markdown"),
        ("p { color: red }", "page.css", "text/css"),
        ("{\"a\": [1, 2]}", "data.json", "application/json"),
        ("\"text\"\n", "data.json", "application/json"),
        ("{\"a\": [1, 2]", "data.json", "text/plain"),
        ("{\"a\": 1} {\"a\": 2}", "data.json", "text/plain"),
        ("BMW is a car", "data.json", "text/plain"),
        ("{\"a\": [1, 2]}", "data.txt", "text/plain"),
        (svg, "logo.svg", "image/svg+xml"),
        (
            "\u{feff} <s:svg xmlns:s=\"x\">",
            "logo.svg",
            "image/svg+xml",
        ),
        (svg, "logo.xml", "text/plain"),
        ("<html><svg/></html>", "logo.svg", "text/plain"),
        ("<!-- <svg/>", "logo.svg", "text/plain"),
        ("<svgx/>", "logo.svg", "text/plain"),
        ("BMW is a car", "logo.svg", "text/plain"),
        ("<!DOCTYPE html><p>", "page.html", "text/plain"),
        ("alert(1)", "code.js", "text/plain"),
        ("alert(1)", "code.mjs", "text/plain"),
        ("<?xml version=\"1.0\"?><a/>", "data.xml", "text/plain"),
        (
            "<a xmlns=\"http://www.w3.org/1999/xhtml\"/>",
            "page.xhtml",
            "text/plain",
        ),
    ] {
        assert_eq!(
            detect(text.as_bytes()).named(name),
            expected,
            "{name}: {text}"
        );
    }
}

#[test]
fn json_is_judged_by_what_is_seen_of_it() {
    let numbers = format!("[{}1]", "1, ".repeat(ENOUGH));
    assert_eq!(
        detect(numbers.as_bytes()).named("a.json"),
        "application/json"
    );
    let broken = numbers.replacen("1, 1", "1; 1", 1);
    assert_eq!(detect(broken.as_bytes()).named("a.json"), "text/plain");
    // The cut may be within a character.
    for start in 0..3 {
        let text = format!("[\"{}{}\"]", "a".repeat(start), "€".repeat(ENOUGH));
        assert_eq!(detect(text.as_bytes()).named("a.json"), "application/json");
    }
}

#[test]
fn a_name_changes_no_binary_type() {
    for name in [
        "a.svg", "a.json", "a.csv", "a.css", "a.md", "a.html", "a.txt", "",
    ] {
        assert_eq!(
            detect(b"\x89PNG\r\n\x1a\n").named(name),
            "image/png",
            "{name}"
        );
        assert_eq!(detect(b"\0\x01\x02").named(name), OCTETS, "{name}");
    }
}

proptest! {
    /// Letters, in any script, behind any signature that is made of letters.
    #[test]
    fn letters_are_text(
        signature in prop::sample::select(vec!["", "BM", "MZ", "GIF", "ID3", "BZh", "BC", "FWS", "CWS", "PK", "II", "MM"]),
        text in "[\\p{L}\\p{N} \\n]{1,400}",
    ) {
        let text = format!("{signature}{text}");
        prop_assert_eq!(by_bytes(text.as_bytes()), "text/plain");
    }

    #[test]
    fn any_bytes_have_a_type(bytes in prop::collection::vec(any::<u8>(), 0..600), name in ".{0,20}") {
        let _ = detect(&bytes).named(&name);
    }

    /// A header of any two-byte signature is read to its end and not beyond it.
    #[test]
    fn any_bytes_behind_a_signature_have_a_type(
        signature in prop::sample::select(vec![
            &b"BM"[..], b"MZ", b"GIF", b"\xff\xfb", b"\xff\xf1", b"\x1f\x9d", b"\x1f\x8b\x08", b"BZh", b"FWS", b"\x30\x82",
            b"\x64\x86", b"\x4c\x01", b"\x71\xc7", b"\xc7\x71", b"\0\x01\0\0\0", b"OTTO\0", b"\0\0\x01\xba", b"\0\0\x01\0",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = detect(&[signature, &rest].concat());
    }
}

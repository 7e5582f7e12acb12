//! A private clamd on loopback that knows one signature: the EICAR test file. Neither the service
//! of the package nor freshclam runs.

use std::fs;

use anyhow::{Context as _, Result};

use crate::layout::{Layout, make_dir, write_private};
use crate::process::Program;
use crate::provision::{self, Tool};

/// In ClamAV's format of byte signatures, in hexadecimal: scanners would report the plain string in
/// the checkout.
const SIGNATURES: &str = include_str!("eicar.ndb");

/// Writes the configuration and returns the program.
pub(super) fn program(layout: &Layout, port: u16) -> Result<Program> {
    let folder = layout.dev.join("clamd");
    let signatures = folder.join("signatures");
    make_dir(&folder, 0o700)?;
    make_dir(&signatures, 0o700)?;
    fs::write(signatures.join("eicar.ndb"), SIGNATURES).context("writing clamd's signatures")?;
    let conf = format!(
        "Foreground yes\nTCPAddr 127.0.0.1\nTCPSocket {port}\nDatabaseDirectory {}\nStreamMaxLength 100M\n\
         MaxFileSize 100M\nMaxScanSize 400M\n",
        signatures.display()
    );
    let file = folder.join("clamd.conf");
    write_private(&file, conf.as_bytes())?;
    let clamd = provision::path(Tool::Clamd)?;
    Ok(Program::new("clamd", &clamd, &folder)
        .args(["--config-file"])
        .args([file]))
}

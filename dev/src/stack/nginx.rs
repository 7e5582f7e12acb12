//! The private load balancer of `--replicas`: nginx with TLS in front of the api
//! processes, all its files under .dev/, the settings that matter as in deploy/.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::manifest::Manifest;
use crate::layout::{Layout, make_dir, write_private};
use crate::process::Program;
use crate::provision;

const TEMPLATE: &str = include_str!("nginx.conf");

/// Writes configuration and certificates and describes the program.
pub(crate) fn program(layout: &Layout, manifest: &Manifest) -> Result<Program> {
    let folder = layout.dev.join("nginx");
    make_dir(&folder, 0o711)?;
    ensure_certificates(&layout.dev.join("tls"))?;
    let mut upstreams = String::new();
    for replica in &manifest.replicas {
        let _ = writeln!(upstreams, "        server {} max_fails=0;", replica.bind);
    }
    let port = manifest.api_url.rsplit(':').next().unwrap_or_default();
    let conf = TEMPLATE
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@TLS@", &layout.dev.join("tls").display().to_string())
        .replace("@PORT@", port)
        .replace("@UPSTREAMS@", upstreams.trim_end());
    let conf = if nix::unistd::Uid::effective().is_root() {
        // Workers of a root nginx change to an account that cannot enter the
        // checkout, and would not reach their temporary files.
        format!("user root;\n{conf}")
    } else {
        conf
    };
    let file = folder.join("nginx.conf");
    write_private(&file, conf.as_bytes())?;
    Ok(Program::new("nginx", &provision::nginx()?, &folder)
        .args(["-p", ".", "-e", "stderr", "-c"])
        .args([file]))
}

/// A small CA for this checkout and a certificate for localhost under it, made
/// once: whoever trusted the CA need not do so again.
fn ensure_certificates(folder: &Path) -> Result<()> {
    make_dir(folder, 0o700)?;
    if folder.join("server.key").exists() {
        return Ok(());
    }
    let mut authority = CertificateParams::new(Vec::new())?;
    authority
        .distinguished_name
        .push(DnType::CommonName, "Plinth development CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let server = server.signed_by(&key, &authority)?;

    fs::write(folder.join("ca.pem"), authority.pem()).context("writing the CA")?;
    let chain = format!("{}{}", server.pem(), authority.pem());
    fs::write(folder.join("server.pem"), chain).context("writing the certificate")?;
    // Last, because its presence says that all are there. The CA's own key is
    // thrown away: nothing else will ever be signed with it.
    write_private(&folder.join("server.key"), key.serialize_pem().as_bytes())
}

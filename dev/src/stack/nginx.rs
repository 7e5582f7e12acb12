//! nginx with deploy/nginx.conf, adapted to this machine: the balancer of `--replicas`, and the
//! check of the file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::unistd::Uid;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::manifest::Manifest;
use crate::layout::{Layout, make_dir, write_private};
use crate::process::Program;
use crate::provision::{self, Tool};

/// The configuration of the deployment, relative to the checkout.
pub(crate) const CONFIGURATION: &str = "deploy/nginx.conf";

/// Writes configuration and certificates and returns the program.
pub(super) fn program(layout: &Layout, manifest: &Manifest) -> Result<Program> {
    let folder = layout.dev.join("nginx");
    make_dir(&folder, 0o711)?;
    let tls = layout.dev.join("tls");
    ensure_certificates(&tls)?;
    let port = manifest.api_url.rsplit(':').next().unwrap_or_default();
    let binds: Vec<_> = manifest.replicas.iter().map(|one| &*one.bind).collect();
    let text = fs::read_to_string(layout.root.join(CONFIGURATION))?;
    let text = adapt(&text, &folder, &tls, port, &binds);
    let file = folder.join("nginx.conf");
    write_private(&file, text.as_bytes())?;
    Ok(
        Program::new("nginx", &provision::path(Tool::Nginx)?, &folder)
            .args(["-p", ".", "-e", "stderr", "-g", "daemon off;", "-c"])
            .args([file]),
    )
}

/// Replaces what only the deployment has: folders, the port, and the names of the replicas. Keeps
/// the numbers of the lines before the replicas, so that they fit nginx's messages.
pub(crate) fn adapt(text: &str, folder: &Path, tls: &Path, port: &str, binds: &[&str]) -> String {
    let servers: Vec<_> = binds
        .iter()
        .map(|bind| format!("server {bind} max_fails=0;"))
        .collect();
    let text = text
        .replace("/tmp/", &format!("{}/", folder.display()))
        .replace("/tls/", &format!("{}/", tls.display()))
        .replace("listen 8443", &format!("listen 127.0.0.1:{port}"))
        .replace("access_log /dev/stdout plain", "access_log off")
        .replace("server api-1:8080 max_fails=0;", &servers.join(" "))
        .replace("server api-2:8080 max_fails=0;", "");
    if Uid::effective().is_root() {
        // Otherwise the workers change to an account that cannot enter the checkout.
        return format!("user root; {text}");
    }
    text
}

/// Creates a CA for this checkout and a certificate for localhost, once: a developer who trusts the
/// CA need not do so again.
pub(crate) fn ensure_certificates(folder: &Path) -> Result<()> {
    make_dir(folder, 0o700)?;
    if folder.join("server.key").exists() {
        return Ok(());
    }
    let mut authority = CertificateParams::new(Vec::new())?;
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "Plinth development CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    let name = &mut server.distinguished_name;
    name.push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let server = server.signed_by(&key, &authority)?;

    fs::write(folder.join("ca.pem"), authority.pem()).context("writing the CA")?;
    let chain = format!("{}{}", server.pem(), authority.pem());
    fs::write(folder.join("server.pem"), chain).context("writing the certificate")?;
    // Last, because it marks the set as complete. The key of the CA is not kept: it signs nothing
    // else.
    write_private(&folder.join("server.key"), key.serialize_pem().as_bytes())
}

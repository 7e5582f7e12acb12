//! deploy/nginx.conf as nginx itself reads it, with stand-ins for what only the
//! place of deployment has: certificates, host names, accounts, low ports.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use super::lints::demand;
use crate::layout::Layout;
use crate::process::foreground;
use crate::provision;
use crate::scratch::Scratch;

const FILE: &str = "deploy/nginx.conf";

pub(super) async fn check(layout: &Layout, scratch: &Scratch) -> Result<String> {
    let file = layout.root.join(FILE);
    ensure!(file.exists(), "there is no {FILE}");
    let folder = scratch.layout().dev.join("nginx");
    fs::create_dir_all(&folder).context("making a folder for nginx")?;
    let text = fs::read_to_string(&file).with_context(|| format!("reading {FILE}"))?;
    write_certificate(&folder)?;
    let conf = folder.join("nginx.conf");
    fs::write(&conf, adapt(&text, &folder))?;
    let nginx = provision::nginx()?;
    let mut command = foreground::through_shim(nginx.as_os_str(), Signal::SIGTERM, None)?;
    command
        .args(["-t", "-q", "-e", "stderr", "-p"])
        .arg(&folder)
        .arg("-c")
        .arg(&conf);
    demand(&mut command).await?;
    Ok(String::new())
}

fn write_certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("cert.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

/// Replaces, line by line, what this machine lacks. Line numbers stay the same,
/// so that nginx's complaints fit the committed file.
fn adapt(text: &str, folder: &Path) -> String {
    let lines = text.lines().map(|line| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut words = line.trim().trim_end_matches(';').split_whitespace();
        let folder = folder.display();
        match (words.next(), words.next()) {
            (Some("user"), _) => String::new(),
            (Some("pid"), _) => format!("{indent}pid {folder}/nginx.pid;"),
            (Some(name), _) if name.ends_with("_temp_path") => {
                format!("{indent}{name} {folder}/{name};")
            }
            (Some("ssl_certificate" | "ssl_trusted_certificate" | "ssl_client_certificate"), _) => {
                line.replacen(
                    line.split_whitespace().nth(1).unwrap_or_default(),
                    &format!("{folder}/cert.pem;"),
                    1,
                )
            }
            (Some("ssl_certificate_key"), _) => {
                format!("{indent}ssl_certificate_key {folder}/key.pem;")
            }
            (Some("server"), Some(address)) if address != "{" => {
                let port = address.rsplit_once(':').map_or("80", |(_, port)| port);
                let rest: Vec<_> = words.collect();
                format!("{indent}server 127.0.0.1:{port} {};", rest.join(" "))
            }
            (Some("listen"), Some(address)) => {
                let rest: Vec<_> = words.collect();
                format!("{indent}listen {} {};", high_port(address), rest.join(" "))
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// An address whose port needs no privileges.
fn high_port(address: &str) -> String {
    let (host, port) = address
        .rsplit_once(':')
        .map_or(("", address), |(host, port)| (host, port));
    let separator = if host.is_empty() { "" } else { ":" };
    match port.parse::<u16>() {
        Ok(low) if low < 1024 => format!("{host}{separator}{}", low + 40_000),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_deployment_has_is_replaced_line_by_line() {
        let text = "user nginx;\nhttp {\n  proxy_temp_path /tmp/proxy;\n  upstream api {\n    server api-1:8080 max_fails=0;\n  }\n  \
                    server {\n    listen 443 ssl;\n    listen [::]:80;\n    \
                    ssl_certificate /run/secrets/tls.crt;\n    server_name _;\n  }\n}\n";
        let adapted = adapt(text, Path::new("/x"));
        assert_eq!(adapted.lines().count(), text.lines().count());
        for expected in [
            "  proxy_temp_path /x/proxy_temp_path;",
            "    server 127.0.0.1:8080 max_fails=0;",
            "  server {",
            "    listen 40443 ssl;",
            "    listen [::]:40080 ;",
            "    ssl_certificate /x/cert.pem;",
            "    server_name _;",
        ] {
            assert!(
                adapted.lines().any(|line| line == expected),
                "{expected}\n{adapted}"
            );
        }
        assert!(!adapted.contains("user"));
    }
}

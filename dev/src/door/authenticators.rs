//! What a person proves himself with beside a password, in software: an app that shows one-time
//! codes, and a passkey with the browser that asks for it (WebAuthn level 3, sections 6 and 5.1):
//! ES256, no attestation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::time::sleep;
use totp_rs::{Builder, Secret, Totp};

use crate::random;

/// How long a code is shown.
const STEP: Duration = Duration::from_secs(30);
/// What a code needs to arrive.
const WAY: Duration = Duration::from_secs(2);

/// An app that knows a secret.
#[derive(Debug)]
pub struct App(Totp);

impl App {
    /// `secret` is in base32.
    pub(super) fn with(secret: &str) -> Result<Self> {
        let secret =
            Secret::try_from_base32(secret).map_err(|_| anyhow!("the secret is not base32"))?;
        Ok(Self(
            Builder::new().with_secret(secret).build_noncompliant(),
        ))
    }

    /// What it showed before, while that is still taken.
    pub(super) async fn previous_code(&self) -> Result<String> {
        let left = STEP.as_secs() - now()?.as_secs() % STEP.as_secs();
        if left <= WAY.as_secs() {
            sleep(WAY).await;
        }
        Ok(self.code_at(now()?.saturating_sub(STEP)))
    }

    /// What it shows now.
    pub fn code(&self) -> Result<String> {
        Ok(self.code_at(now()?))
    }

    /// What it is about to show.
    pub fn next_code(&self) -> Result<String> {
        Ok(self.code_at(now()? + STEP))
    }

    fn code_at(&self, time: Duration) -> String {
        self.0.generate(time.as_secs()).to_string()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an app shows the codes of the real time"
)]
fn now() -> Result<Duration> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")
}

/// A passkey of one account, on the pages of one origin.
#[derive(Debug)]
pub struct Passkey {
    origin: String,
    id: Vec<u8>,
    user_handle: Value,
    pair: EcdsaKeyPair,
}

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

impl Passkey {
    /// `navigator.credentials.create`: the key, and what proves it.
    pub(super) fn create(origin: &str, options: &Value) -> Result<(Self, Value)> {
        let passkey = Self {
            origin: origin.to_owned(),
            id: random::bytes(32)?,
            user_handle: options["user"]["id"].clone(),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .context("making a key")?,
        };
        let mut data = authenticator_data(&options["rp"]["id"], HAS_CREDENTIAL, 0)?;
        data.extend([0; 16]);
        data.extend([0, 32]);
        data.extend_from_slice(&passkey.id);
        data.extend(cose_key(&passkey.pair));
        let response = json!({
            "clientDataJSON": encode(&passkey.client_data("webauthn.create", options)),
            "attestationObject": encode(&attestation_object(&data)?),
            "transports": ["internal"],
        });
        let credential = passkey.credential(&response);
        Ok((passkey, credential))
    }

    /// `navigator.credentials.get`: a proof by the key, the first one after its creation.
    pub(super) fn prove(&self, options: &Value) -> Result<Value> {
        let data = authenticator_data(&options["rpId"], 0, 1)?;
        let client_data = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self
            .pair
            .sign(&SystemRandom::new(), &signed)
            .context("signing")?;
        Ok(self.credential(&json!({
            "clientDataJSON": encode(&client_data),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
            "userHandle": self.user_handle,
        })))
    }

    fn credential(&self, response: &Value) -> Value {
        let id = encode(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {},
        })
    }

    fn client_data(&self, ceremony: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": ceremony, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }
}

fn authenticator_data(domain: &Value, flags: u8, counter: u32) -> Result<Vec<u8>> {
    let domain = domain.as_str().context("the ceremony names no domain")?;
    let mut data = digest(&SHA256, domain.as_bytes()).as_ref().to_vec();
    data.push(USER_PRESENT | USER_VERIFIED | flags);
    data.extend(counter.to_be_bytes());
    Ok(data)
}

/// RFC 9053, section 7.1.1: kty EC2, alg ES256, crv P-256, x, y.
fn cose_key(pair: &EcdsaKeyPair) -> Vec<u8> {
    // SEC 1: 4, x, y.
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01];
    key.extend([&[0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat());
    key
}

/// `{"fmt": "none", "attStmt": {}, "authData": data}` in CBOR.
fn attestation_object(data: &[u8]) -> Result<Vec<u8>> {
    let length = u8::try_from(data.len()).context("the authenticator's data is long")?;
    Ok([
        b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58",
        [length].as_slice(),
        data,
    ]
    .concat())
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

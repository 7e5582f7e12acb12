//! A software authenticator with its browser (WebAuthn level 3, sections 6 and 5.1): ES256, no
//! attestation. Deviations of an attacker can be configured.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

pub(crate) struct Authenticator {
    /// The origin of the page.
    pub(crate) origin: String,
    /// The domain (relying party id) of the keys.
    pub(crate) domain: String,
    pub(crate) verifies_user: bool,
    /// The id of the next key; random by default.
    pub(crate) next_id: Option<[u8; 32]>,
    pub(crate) keys: Vec<Key>,
}

pub(crate) struct Key {
    pub(crate) id: Vec<u8>,
    pub(crate) user_handle: Vec<u8>,
    /// The counter of the next assertion.
    pub(crate) counter: u32,
    pair: EcdsaKeyPair,
}

impl Authenticator {
    pub(crate) fn at(origin: &str, domain: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            domain: domain.to_owned(),
            verifies_user: true,
            next_id: None,
            keys: Vec::new(),
        }
    }

    /// `navigator.credentials.create`: creates a key.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        let id = self.next_id.take().unwrap_or_else(random_id);
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("makes a key");
        let mut data = self.authenticator_data(HAS_CREDENTIAL, 0);
        data.extend([0; 16]);
        data.extend([0, 32]);
        data.extend(id);
        data.extend(cose_key(&pair));
        let client_data = self.client_data("webauthn.create", options);
        self.keys.push(Key {
            id: id.to_vec(),
            user_handle: decode(&options["user"]["id"]),
            counter: 1,
            pair,
        });
        json!({
            "id": encode(&id),
            "rawId": encode(&id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data),
                "attestationObject": encode(&attestation_object(&data)),
                "transports": ["internal"],
            },
            "clientExtensionResults": {},
        })
    }

    /// `navigator.credentials.get`: signs with the newest allowed key.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        let allowed: Vec<_> = options["allowCredentials"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|credential| decode(&credential["id"]))
            .collect();
        let is_allowed = |key: &&Key| allowed.is_empty() || allowed.contains(&key.id);
        let key = self.keys.iter().rfind(is_allowed).expect("there is a key");
        let data = self.authenticator_data(0, key.counter);
        let client_data = self.client_data("webauthn.get", options);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = key.pair.sign(&SystemRandom::new(), &signed).expect("signs");
        let credential = json!({
            "id": encode(&key.id),
            "rawId": encode(&key.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&data),
                "signature": encode(signature.as_ref()),
                "userHandle": encode(&key.user_handle),
            },
            "clientExtensionResults": {},
        });
        let id = key.id.clone();
        self.keys
            .iter_mut()
            .filter(|key| key.id == id)
            .for_each(|key| key.counter += 1);
        credential
    }

    fn client_data(&self, ceremony: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": ceremony,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8, counter: u32) -> Vec<u8> {
        let verified = if self.verifies_user { USER_VERIFIED } else { 0 };
        let mut data = digest(&SHA256, self.domain.as_bytes()).as_ref().to_vec();
        data.push(USER_PRESENT | verified | flags);
        data.extend(counter.to_be_bytes());
        data
    }
}

fn random_id() -> [u8; 32] {
    let mut id = [0; 32];
    rand::fill(&mut id).expect("there is randomness");
    id
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
fn attestation_object(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).expect("data is short");
    [
        b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58",
        [length].as_slice(),
        data,
    ]
    .concat()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(value.as_str().expect("a text"))
        .expect("base64url")
}

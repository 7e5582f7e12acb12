//! GET /.well-known/jwks.json

use plinth_core::auth::Auth;
use plinth_platform::clock::Clock;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;

/// Caches may keep the response for this long. A new key is published for longer before it signs.
const CACHE_CONTROL: &str = "public, max-age=300";

pub(crate) struct ReadKeySet {
    pub(super) auth: Auth,
    pub(super) clock: Clock,
}

impl Operation for ReadKeySet {
    const IS_OPEN: bool = true;
}

/// A public key (RFC 7517, RFC 8037).
#[derive(Object)]
struct JsonWebKey {
    /// Always `OKP`.
    kty: String,
    /// Always `Ed25519`.
    crv: String,
    /// Always `sig`.
    #[oai(rename = "use")]
    usage: String,
    /// Always `EdDSA`.
    alg: String,
    /// The id of the key, as in the header of a token.
    kid: String,
    /// The public key in base64url.
    x: String,
}

/// The keys that verify access tokens.
#[derive(Object)]
struct JsonWebKeySet {
    keys: Vec<JsonWebKey>,
}

#[derive(ApiResponse)]
enum KeySet {
    /// The keys.
    #[oai(status = 200)]
    Found(Json<JsonWebKeySet>, #[oai(header = "Cache-Control")] String),
}

#[OpenApi(tag = "Tag::Authentication")]
impl ReadKeySet {
    /// Read the keys that verify access tokens
    ///
    /// For services that accept access tokens of Plinth. A new key is published before it signs. An
    /// old key stays published until the tokens that it signed have expired.
    #[oai(
        path = "/.well-known/jwks.json",
        method = "get",
        operation_id = "readKeySet"
    )]
    async fn read(&self) -> Result<KeySet> {
        let keys = self
            .auth
            .access_tokens()
            .published_keys(self.clock.now())
            .await?;
        let keys = keys.into_iter().map(|key| JsonWebKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            usage: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            kid: key.kid,
            x: key.x,
        });
        Ok(KeySet::Found(
            Json(JsonWebKeySet {
                keys: keys.collect(),
            }),
            CACHE_CONTROL.to_owned(),
        ))
    }
}

//! The authorization path up to the permissions: extract the JWT, signature, expiry, then blacklist, session, account
//! and rate limits in one round trip to Redis.

use std::sync::Arc;

use plinth_core::Error;
use plinth_core::access::Gate;
use plinth_core::auth::{AccessTokens, Claims};
use plinth_domain::gcra::{Limit, Verdict};
use plinth_domain::id::UserId;
use plinth_platform::clock::Clock;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};

use crate::http::failure::Failure;
use crate::http::origin::ClientIp;
use crate::http::principal::Identity;

/// Requests below it present credentials, which can be guessed at, and have a limit of their own.
const SENSITIVE: &str = "/v1/auth/";

/// Except this one, which takes no other credentials than any request.
const LOGOUT: &str = "/v1/auth/logout";

/// Admits requests and says who asks.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    gate: Gate,
    access_tokens: AccessTokens,
    clock: Clock,
}

/// Who asks, and the tightest limit that was counted.
type Admitted = (Identity, Option<(Limit, Verdict)>);

impl Admission {
    pub fn new(gate: Gate, access_tokens: AccessTokens, clock: Clock) -> Self {
        Self(Arc::new(Inner { gate, access_tokens, clock }))
    }
}

impl Inner {
    async fn admit(&self, request: &Request) -> plinth_core::Result<Admitted> {
        let ip = request
            .data::<ClientIp>()
            .map(|ip| ip.0)
            .ok_or_else(|| Error::internal("a request has no address"))?;
        let path = request.uri().path();
        let sensitive = path.starts_with(SENSITIVE) && path != LOGOUT;
        let claims =
            bearer(request.headers()).map(|token| self.access_tokens.verify(token, self.clock.now()));
        match claims.transpose() {
            Ok(claims) => self.ask(ip, sensitive, claims.as_deref()).await,
            Err(Error::Unauthenticated { code, detail }) => {
                let (_, limit) = self.ask(ip, sensitive, None).await?;
                Ok((Identity::Refused { code, detail }, limit))
            }
            Err(other) => Err(other),
        }
    }

    async fn ask(
        &self,
        ip: std::net::IpAddr,
        sensitive: bool,
        claims: Option<&Claims>,
    ) -> plinth_core::Result<Admitted> {
        match self.gate.admit(ip, sensitive, claims).await {
            Ok(admission) => {
                let identity =
                    admission.caller.map_or(Identity::Nobody, |caller| Identity::Known(Arc::new(caller)));
                Ok((identity, admission.limit))
            }
            Err(Error::Unauthenticated { code, detail }) => Ok((Identity::Refused { code, detail }, None)),
            Err(other) => Err(other),
        }
    }
}

/// RFC 6750, section 2.1.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub struct Admitting<E> {
    inner: E,
    admission: Admission,
}

impl<E: Endpoint> Middleware<E> for Admission {
    type Output = Admitting<E>;

    fn transform(&self, inner: E) -> Admitting<E> {
        Admitting { inner, admission: self.clone() }
    }
}

impl<E: Endpoint> Endpoint for Admitting<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let (identity, limit) = self.admission.0.admit(&request).await.map_err(Failure::from)?;
        request.set_data(identity.clone());
        let record = Record { identity, limit };
        match self.inner.call(request).await {
            Ok(response) => {
                let mut response = response.into_response();
                response.set_data(record);
                Ok(response)
            }
            Err(mut error) => {
                error.set_data(record);
                Err(error)
            }
        }
    }
}

/// What was found out about a request, for the layers around.
#[derive(Clone)]
pub(super) struct Record {
    identity: Identity,
    limit: Option<(Limit, Verdict)>,
}

impl Record {
    pub(super) fn user(&self) -> Option<UserId> {
        self.identity.caller().map(|caller| caller.user.id)
    }

    /// The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-06, in requests and seconds.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Some((limit, verdict)) = self.limit else { return };
        let fields = [
            (HeaderName::from_static("ratelimit-limit"), u64::from(limit.burst)),
            (HeaderName::from_static("ratelimit-remaining"), u64::from(verdict.remaining)),
            (HeaderName::from_static("ratelimit-reset"), verdict.reset_ms.div_ceil(1000)),
        ];
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

//! The authorization path up to the permissions: extract the token, signature, expiry, then blacklist, credential,
//! account, roles and rate limits in one round trip to Redis.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use plinth_core::Error;
use plinth_core::access::{Caller, Gate, Presented, Purpose};
use plinth_core::access_tokens::AccessTokens;
use plinth_core::api_keys::Recognition;
use plinth_domain::gcra::{Limit, Verdict};
use plinth_domain::id::UserId;
use plinth_platform::clock::Clock;
use plinth_platform::crypto::ApiKeyToken;
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};

use crate::http::browser::{self, Pages};
use crate::http::failure::Failure;
use crate::http::origin::ClientIp;
use crate::http::principal::{Identity, Known};
use crate::http::route_table::RouteTable;
use crate::http::single_fields;

/// Admits requests and says who asks.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    parts: Parts,
    step_up_window: time::Duration,
}

/// What an admission asks.
pub struct Parts {
    pub gate: Gate,
    pub access_tokens: AccessTokens,
    pub api_keys: Recognition,
    pub pages: Pages,
    pub clock: Clock,
    pub table: RouteTable,
}

/// Who asks, and the tightest limit that was counted.
type Admitted = (Identity, Option<(Limit, Verdict)>);

/// A token, and what brought it.
#[derive(Clone, Copy)]
enum Carried<'a> {
    Header(&'a str),
    Cookie(&'a str),
}

impl Admission {
    /// `step_up_window` is how long a proof of who one is counts as one of a moment ago.
    pub fn new(parts: Parts, step_up_window: Duration) -> Self {
        let step_up_window = step_up_window.try_into().unwrap_or(time::Duration::MAX);
        Self(Arc::new(Inner {
            parts,
            step_up_window,
        }))
    }
}

impl Inner {
    async fn admit(&self, request: &Request) -> plinth_core::Result<Admitted> {
        let ip = request
            .data::<ClientIp>()
            .map(|ip| ip.0)
            .ok_or_else(|| Error::internal("a request has no address"))?;
        let purpose = self.parts.table.purpose(request.uri().path());
        let asked = match carried(request.headers()) {
            None => self.ask(ip, purpose, None).await,
            Some(Carried::Header(token)) if ApiKeyToken::looks_like(token) => {
                Box::pin(self.ask_with_api_key(ip, purpose, token)).await
            }
            Some(carried) => {
                self.ask_with_access_token(ip, purpose, request, carried)
                    .await
            }
        };
        match asked {
            Err(Error::Unauthenticated { code, detail }) => {
                Ok((Identity::Refused { code, detail }, None))
            }
            other => other,
        }
    }

    async fn ask_with_access_token(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        request: &Request,
        carried: Carried<'_>,
    ) -> plinth_core::Result<Admitted> {
        let (token, by_cookie) = match carried {
            Carried::Header(token) => (token, false),
            Carried::Cookie(token) => (token, true),
        };
        let claims = match self
            .parts
            .access_tokens
            .verify(token, self.parts.clock.now())
            .await
        {
            Ok(claims) => claims,
            Err(refused) => return self.refuse(ip, purpose, refused).await,
        };
        if by_cookie
            && !request.method().is_safe()
            && !self
                .parts
                .pages
                .have_sent(request.headers(), claims.session())
        {
            let (_, limit) = self.ask(ip, purpose, None).await?;
            return Ok((Identity::Unproven, limit));
        }
        self.ask(ip, purpose, Some(Presented::AccessToken(&claims)))
            .await
    }

    async fn ask_with_api_key(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        token: &str,
    ) -> plinth_core::Result<Admitted> {
        match self.parts.api_keys.recognise(token).await {
            Ok((key, user)) => {
                self.ask(ip, purpose, Some(Presented::ApiKey { key, user }))
                    .await
            }
            Err(refused) => self.refuse(ip, purpose, refused).await,
        }
    }

    /// Whoever presents what is refused counts as nobody.
    async fn refuse(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        refused: Error,
    ) -> plinth_core::Result<Admitted> {
        let Error::Unauthenticated { code, detail } = refused else {
            return Err(refused);
        };
        let (_, limit) = self.ask(ip, purpose, None).await?;
        Ok((Identity::Refused { code, detail }, limit))
    }

    async fn ask(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        presented: Option<Presented<'_>>,
    ) -> plinth_core::Result<Admitted> {
        let admission = self.parts.gate.admit(ip, purpose, presented).await?;
        let identity = admission.caller.map_or(Identity::Nobody, |caller| {
            let is_fresh = self.is_fresh(&caller);
            Identity::Known(Known {
                caller: Arc::new(caller),
                is_fresh,
            })
        });
        Ok((identity, admission.limit))
    }

    fn is_fresh(&self, caller: &Caller) -> bool {
        let now = self.parts.clock.now();
        caller
            .login()
            .is_some_and(|login| now - login.authenticated_at <= self.step_up_window)
    }
}

/// The Authorization field comes first (RFC 6750, section 2.1): no page of somebody else can make a browser send it.
fn carried(headers: &HeaderMap) -> Option<Carried<'_>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return browser::cookie(headers, browser::ACCESS).map(Carried::Cookie);
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Carried::Header(token.trim()))
}

pub struct Admitting<E> {
    inner: E,
    admission: Admission,
}

impl<E: Endpoint> Middleware<E> for Admission {
    type Output = Admitting<E>;

    fn transform(&self, inner: E) -> Admitting<E> {
        Admitting {
            inner,
            admission: self.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for Admitting<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        single_fields::check(request.headers())?;
        let (identity, limit) = self
            .admission
            .0
            .admit(&request)
            .await
            .map_err(Failure::from)?;
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
        let Some((limit, verdict)) = self.limit else {
            return;
        };
        let fields = [
            (
                HeaderName::from_static("ratelimit-limit"),
                u64::from(limit.burst),
            ),
            (
                HeaderName::from_static("ratelimit-remaining"),
                u64::from(verdict.remaining),
            ),
            (
                HeaderName::from_static("ratelimit-reset"),
                verdict.reset_ms.div_ceil(1000),
            ),
        ];
        for (name, value) in fields {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

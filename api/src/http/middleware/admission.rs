//! Authentication and rate limits. The signature and the expiry of a token are checked locally; the
//! blacklist, the credential, the account, the roles and the rate limits in one round trip to
//! Redis.

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

use crate::http::browser::{self, CsrfGuard};
use crate::http::failure::Failure;
use crate::http::origin::ClientIp;
use crate::http::principal::{Authenticated, Identity};
use crate::http::route_table::RouteTable;
use crate::http::single_fields;

/// Identifies the caller of a request and counts the request against its rate limits.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    services: Services,
    step_up_window: time::Duration,
}

/// The services that an admission uses.
pub struct Services {
    pub gate: Gate,
    pub access_tokens: AccessTokens,
    pub api_keys: Recognition,
    pub csrf: CsrfGuard,
    pub clock: Clock,
    pub table: RouteTable,
}

/// The identity of the caller, and the tightest rate limit that was counted.
type AdmissionResult = (Identity, Option<(Limit, Verdict)>);

/// A token and the place that it came in.
#[derive(Clone, Copy)]
enum PresentedToken<'a> {
    Header(&'a str),
    Cookie(&'a str),
}

impl Admission {
    /// Creates the layer. A login or step-up counts as recent for `step_up_window`.
    pub fn new(services: Services, step_up_window: Duration) -> Self {
        let step_up_window = step_up_window.try_into().unwrap_or(time::Duration::MAX);
        Self(Arc::new(Inner {
            services,
            step_up_window,
        }))
    }
}

impl Inner {
    async fn admit(&self, request: &Request) -> plinth_core::Result<AdmissionResult> {
        let ip = request
            .data::<ClientIp>()
            .map(|ip| ip.0)
            .ok_or_else(|| Error::internal("a request has no client address"))?;
        let purpose = self.services.table.purpose(request.uri().path());
        let admitted = match presented_token(request.headers()) {
            None => self.pass_gate(ip, purpose, None).await,
            Some(PresentedToken::Header(token)) if ApiKeyToken::looks_like(token) => {
                Box::pin(self.admit_api_key(ip, purpose, token)).await
            }
            Some(presented_token) => {
                self.admit_access_token(ip, purpose, request, presented_token)
                    .await
            }
        };
        match admitted {
            Err(Error::Unauthenticated { code, detail }) => {
                Ok((Identity::Rejected { code, detail }, None))
            }
            other => other,
        }
    }

    async fn admit_access_token(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        request: &Request,
        presented_token: PresentedToken<'_>,
    ) -> plinth_core::Result<AdmissionResult> {
        let (token, is_cookie) = match presented_token {
            PresentedToken::Header(token) => (token, false),
            PresentedToken::Cookie(token) => (token, true),
        };
        let claims = match self
            .services
            .access_tokens
            .verify(token, self.services.clock.now())
            .await
        {
            Ok(claims) => claims,
            Err(error) => return self.admit_anonymously(ip, purpose, error).await,
        };
        if is_cookie
            && !request.method().is_safe()
            && !self
                .services
                .csrf
                .has_valid_token(request.headers(), claims.session())
        {
            let (_, limit) = self.pass_gate(ip, purpose, None).await?;
            return Ok((Identity::CsrfFailed, limit));
        }
        self.pass_gate(ip, purpose, Some(Presented::AccessToken(&claims)))
            .await
    }

    async fn admit_api_key(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        token: &str,
    ) -> plinth_core::Result<AdmissionResult> {
        match self.services.api_keys.recognise(token).await {
            Ok((key, user)) => {
                self.pass_gate(ip, purpose, Some(Presented::ApiKey { key, user }))
                    .await
            }
            Err(error) => self.admit_anonymously(ip, purpose, error).await,
        }
    }

    /// Counts a request with rejected credentials as anonymous, and keeps the rejection for
    /// operations that need a caller.
    async fn admit_anonymously(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        error: Error,
    ) -> plinth_core::Result<AdmissionResult> {
        let Error::Unauthenticated { code, detail } = error else {
            return Err(error);
        };
        let (_, limit) = self.pass_gate(ip, purpose, None).await?;
        Ok((Identity::Rejected { code, detail }, limit))
    }

    async fn pass_gate(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        presented: Option<Presented<'_>>,
    ) -> plinth_core::Result<AdmissionResult> {
        let admission = self.services.gate.admit(ip, purpose, presented).await?;
        let identity = admission.caller.map_or(Identity::Anonymous, |caller| {
            let is_fresh = self.is_fresh(&caller);
            Identity::Authenticated(Authenticated {
                caller: Arc::new(caller),
                is_fresh,
            })
        });
        Ok((identity, admission.limit))
    }

    fn is_fresh(&self, caller: &Caller) -> bool {
        let now = self.services.clock.now();
        caller
            .login()
            .is_some_and(|login| now - login.authenticated_at <= self.step_up_window)
    }
}

/// Returns the token of a request. The Authorization header takes precedence over the cookie,
/// because another site cannot make a browser send it (RFC 6750, section 2.1).
fn presented_token(headers: &HeaderMap) -> Option<PresentedToken<'_>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return browser::cookie(headers, browser::ACCESS_COOKIE).map(PresentedToken::Cookie);
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| PresentedToken::Header(token.trim()))
}

pub struct AdmissionEndpoint<E> {
    inner: E,
    admission: Admission,
}

impl<E: Endpoint> Middleware<E> for Admission {
    type Output = AdmissionEndpoint<E>;

    fn transform(&self, inner: E) -> AdmissionEndpoint<E> {
        AdmissionEndpoint {
            inner,
            admission: self.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for AdmissionEndpoint<E> {
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
        let record = AdmissionRecord { identity, limit };
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

/// What the admission found out about a request, for the outer layers.
#[derive(Clone)]
pub(super) struct AdmissionRecord {
    identity: Identity,
    limit: Option<(Limit, Verdict)>,
}

impl AdmissionRecord {
    pub(super) fn user(&self) -> Option<UserId> {
        self.identity.caller().map(|caller| caller.user.id)
    }

    /// Writes the RateLimit fields of draft-ietf-httpapi-ratelimit-headers-06, in requests and
    /// seconds.
    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
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

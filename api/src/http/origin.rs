//! The origin of a request, for the audit log and for jobs.

use std::net::IpAddr;
use std::sync::Arc;

use plinth_domain::audit::Origin;
use poem::{FromRequest, Request, RequestBody};

use super::principal::Identity;

/// The ids of a request, set by [`Observe`](super::middleware::Observe).
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: Arc<str>,
    pub traceparent: Option<String>,
}

/// The address of the client behind all trusted proxies.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub IpAddr);

/// Longer user agents are truncated.
const MAX_USER_AGENT_CHARS: usize = 256;

/// The origin of a request; every operation that changes something extracts it.
#[derive(Debug, Clone)]
pub struct RequestOrigin(pub Origin);

impl<'a> FromRequest<'a> for RequestOrigin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let context = request.data::<RequestContext>();
        let caller = request.data::<Identity>().and_then(Identity::caller);
        let login = caller.and_then(|caller| caller.login());
        let user_agent = request
            .header("user-agent")
            .map(|text| text.chars().take(MAX_USER_AGENT_CHARS).collect());
        Ok(Self(Origin {
            actor: caller.map(|caller| caller.user.id),
            session: login.map(|login| login.session),
            impersonator: login.and_then(|login| login.impersonator),
            api_key: caller.and_then(|caller| caller.api_key()),
            ip: request.data::<ClientIp>().map(|ip| ip.0),
            user_agent,
            request_id: context.map(|context| context.request_id.to_string()),
            traceparent: context.and_then(|context| context.traceparent.clone()),
        }))
    }
}

//! Where a request comes from, as the audit log and the jobs need to know it.

use std::net::IpAddr;
use std::sync::Arc;

use plinth_domain::audit::Origin;
use poem::{FromRequest, Request, RequestBody};

use super::principal::Identity;

/// What the middleware learnt of a request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: Arc<str>,
    pub traceparent: Option<String>,
}

/// The address of the client that stands behind all trusted proxies.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub IpAddr);

/// Longer user agents are cut.
const USER_AGENT_CHARS: usize = 256;

/// The origin of the request; extracted by every operation that changes something.
#[derive(Debug, Clone)]
pub struct RequestOrigin(pub Origin);

impl<'a> FromRequest<'a> for RequestOrigin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let context = request.data::<RequestContext>();
        let caller = request.data::<Identity>().and_then(Identity::caller);
        let login = caller.and_then(|caller| caller.login());
        let user_agent = request
            .header("user-agent")
            .map(|text| text.chars().take(USER_AGENT_CHARS).collect());
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

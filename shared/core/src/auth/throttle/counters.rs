//! What failures are counted by, and how each counter slows the next attempt down.

use std::net::IpAddr;
use std::time::Duration;

use plinth_domain::backoff::Backoff;
use plinth_domain::email::Email;
use plinth_domain::id::{RegistrationId, SessionId, ShareLinkId, UserId};
use plinth_platform::crypto::{hex, sha256};

use super::super::devices::DeviceId;
use super::in_flight::Place;
use crate::access::network_of;

/// A counter of failures.
#[derive(Debug, Clone)]
pub(in crate::auth) struct Counter {
    /// Its key, without the prefix.
    pub(super) name: String,
    pub(super) backoff: Backoff,
    /// Failures are forgotten so long after the last one.
    pub(super) memory: Duration,
}

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// Strangers at one address, which may be a whole office.
const ADDRESS: Backoff = Backoff {
    free: 100,
    first: SECOND,
    cap: Duration::from_mins(15),
};
/// Strangers at one account or one link, from wherever: at most 96 guesses a day once it has begun (NIST SP 800-63B-4, 3.2.2).
const ACCOUNT: Backoff = Backoff {
    free: 20,
    first: SECOND,
    cap: Duration::from_mins(15),
};
/// One address at one account or one link.
const PAIR: Backoff = Backoff {
    free: 5,
    first: SECOND,
    cap: Duration::from_mins(15),
};
/// A device that its owner has logged in on before.
const DEVICE: Backoff = Backoff {
    free: 10,
    first: SECOND,
    cap: Duration::from_mins(15),
};
/// Second factors of one account, by a client that knows its password already; of one session or device alike.
const SECOND_FACTOR: Backoff = Backoff {
    free: 5,
    first: MINUTE,
    cap: Duration::from_hours(1),
};

/// Who guesses at a second factor.
#[derive(Debug, Clone, Copy)]
pub(in crate::auth) enum Guesser {
    /// A client of which nothing is known: all of them are counted together.
    Stranger,
    /// A device on which a second factor of the account was proved before.
    Device(DeviceId),
    /// A live session that is stepped up.
    Session(SessionId),
    /// A client that holds the mailed link which undoes a change of address.
    UndoLink,
}

/// The counters of one attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(super) counters: Vec<Counter>,
    /// The one whose failures its owner is told of.
    pub(super) told_by: Option<usize>,
    /// Those that an attempt which succeeds wipes out; the others only forget that one.
    pub(super) wiped: Vec<usize>,
    /// It may wait for the verdicts of others. Not while a transaction is open.
    pub(super) queues: bool,
    pub(super) in_flight: Place,
}

impl Attempt {
    fn of(counters: Vec<Counter>, told_by: Option<usize>, wiped: Vec<usize>) -> Self {
        Self {
            counters,
            told_by,
            wiped,
            queues: true,
            in_flight: Place::default(),
        }
    }

    /// A password from an address, for an account if the address given can be one. A known device is counted by
    /// itself: no stranger slows it down.
    pub(in crate::auth) fn password(
        ip: Option<IpAddr>,
        account: Option<&Email>,
        device: Option<DeviceId>,
    ) -> Self {
        let hour = Duration::from_hours(1);
        if let Some(device) = device {
            let counter = Counter {
                name: format!("fail:device:{}", device.text()),
                backoff: DEVICE,
                memory: hour,
            };
            return Self::of(vec![counter], None, vec![0]);
        }
        let network = network_text(ip);
        let address = of_address(&network);
        let Some(account) = account else {
            return Self::of(vec![address], None, Vec::new());
        };
        // Addresses of people are no names of keys.
        let account = hex(&sha256(account.key().as_bytes())[..16]);
        let pair = Counter {
            name: format!("fail:pair:{account}:{network}"),
            backoff: PAIR,
            memory: hour,
        };
        let account = Counter {
            name: format!("fail:account:{account}"),
            backoff: ACCOUNT,
            memory: hour,
        };
        Self::of(vec![address, account, pair], Some(1), vec![2])
    }

    /// The password of a share link from an address, which has the same counter whatever it guesses at.
    pub(crate) fn link_password(ip: Option<IpAddr>, link: ShareLinkId) -> Self {
        let hour = Duration::from_hours(1);
        let network = network_text(ip);
        let pair = Counter {
            name: format!("fail:link:{link}:{network}"),
            backoff: PAIR,
            memory: hour,
        };
        let link = Counter {
            name: format!("fail:link:{link}"),
            backoff: ACCOUNT,
            memory: hour,
        };
        Self::of(vec![of_address(&network), link, pair], None, vec![2])
    }

    /// The password of a registration, by a client that has one of its links.
    pub(in crate::auth) fn registration(ip: Option<IpAddr>, registration: RegistrationId) -> Self {
        let name = format!("fail:registration:{registration}");
        let counter = Counter {
            name,
            backoff: PAIR,
            memory: Duration::from_hours(1),
        };
        Self::of(vec![of_address(&network_text(ip)), counter], None, vec![1])
    }

    /// The password of whoever is logged in already: no stranger has this counter.
    pub(in crate::auth) fn in_session(session: SessionId) -> Self {
        let name = format!("fail:session:{session}");
        let counter = Counter {
            name,
            backoff: DEVICE,
            memory: Duration::from_hours(1),
        };
        Self::of(vec![counter], Some(0), vec![0])
    }

    /// A second factor of this user.
    pub(in crate::auth) fn second_factor(user: UserId, guesser: Guesser) -> Self {
        let name = match guesser {
            Guesser::Stranger => format!("fail:second-factor:{user}"),
            Guesser::UndoLink => format!("fail:second-factor:{user}:undo"),
            Guesser::Device(device) => {
                format!("fail:second-factor:{user}:device:{}", device.text())
            }
            Guesser::Session(session) => format!("fail:second-factor:{user}:session:{session}"),
        };
        let counter = Counter {
            name,
            backoff: SECOND_FACTOR,
            memory: Duration::from_hours(24),
        };
        Self {
            queues: false,
            ..Self::of(vec![counter], Some(0), vec![0])
        }
    }
}

fn network_text(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "none".to_owned(), |ip| network_of(ip).to_string())
}

fn of_address(network: &str) -> Counter {
    Counter {
        name: format!("fail:ip:{network}"),
        backoff: ADDRESS,
        memory: Duration::from_mins(15),
    }
}

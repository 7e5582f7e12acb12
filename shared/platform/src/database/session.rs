//! The settings of every session.
//!
//! They are sent as statements after connecting and not as startup options, which poolers such as
//! RDS Proxy reject.

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::settings::DatabaseSettings;

/// How long a transaction may wait for its client. The server releases the locks of a client behind
/// a network partition after this time. The longest pause of a live client is a call to another
/// store within a transaction.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20);

/// Settings by which the server detects a lost client, on systems that support them; in seconds.
const TCP_SETTINGS: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "'20s'"),
];

/// Ends a statement within this time after its client closed the connection, instead of running it
/// to the end.
const CLIENT_CHECK: (&str, &str) = ("client_connection_check_interval", "'2s'");

/// Returns the options for connecting.
pub(super) fn options(
    settings: &DatabaseSettings,
    application: &str,
) -> sqlx::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(settings.url.expose())?.application_name(application))
}

/// Returns the statements that set up a new session.
pub(super) fn setup(settings: &DatabaseSettings, more: &[(&str, &str)]) -> String {
    let ms = |time: Duration| time.as_millis().to_string();
    let timeouts = [
        ("statement_timeout", ms(settings.statement_timeout)),
        ("lock_timeout", ms(settings.lock_timeout)),
        (
            "idle_in_transaction_session_timeout",
            ms(IDLE_IN_TRANSACTION_TIMEOUT),
        ),
    ];
    let timeouts = timeouts.iter().map(|(name, value)| (*name, value.as_str()));
    let rest = TCP_SETTINGS
        .iter()
        .chain([&CLIENT_CHECK])
        .chain(more)
        .copied();
    timeouts
        .chain(rest)
        .fold(String::new(), |mut sql, (name, value)| {
            write!(sql, "SET {name} = {value};").expect("writing to a string cannot fail");
            sql
        })
}

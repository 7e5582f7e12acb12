//! The settings themselves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use plinth_domain::job::Queue;
use plinth_domain::media_type::MediaTypes;
use plinth_domain::periodic::Schedule;
use plinth_domain::preset::Presets;

use super::checked::{
    Argon2Memory, AtLeast, Between, DatabaseUrl, DurationBetween, DurationOrZero, HttpUrl,
    KeyPrefix, LogFilter, MasterKeyList, ObjectPrefix, RedisUrl, RootSecret, Sender, SigningSeeds,
    SmtpUrl, Strength,
};
use super::clamav::TooLargeToScan;
use super::declare::settings;
use super::role_limits::LimitsByRole;
use super::s3::ServerSideEncryption;
use super::value::{ByteSize, List, LogFormat, Secret};
use super::worker::QueueConcurrency;
use crate::clamd::Address;
use crate::crypto::{MAX_ITERATIONS, MAX_LANES};

settings! {
    /// What everything shares.
    general: GeneralSettings in "" {
        /// The root of every key, base64 of at least 32 random bytes; `plinth-api keys generate` prints one.
        secret_key: RootSecret = None,
        /// Where clients reach the API: the issuer of tokens and the base of the links in mails.
        public_url: HttpUrl = Some("http://127.0.0.1:8080"),
        /// What the product is called in mails and authenticator apps.
        product_name: String = Some("Plinth"),
        /// Where clients reach the API by a host that gives users' files and nothing else: downloads are sent on to it, so that nothing in a file shares an origin with the API. None for no such host.
        content_url: Option<HttpUrl> = Some(""),
    }

    /// PostgreSQL, the truth.
    database: DatabaseSettings in "database" {
        /// `postgres://user:password@host:port/database`.
        url: DatabaseUrl = None,
        /// Connections that the requests or jobs of one process hold at most.
        max_connections: AtLeast<1> = Some("10"),
        /// How long a request waits for a free connection before it is refused with 503.
        acquire_timeout: Duration = Some("5s"),
        /// PostgreSQL ends a statement that runs longer.
        statement_timeout: Duration = Some("30s"),
        /// How long a statement waits for a lock that another transaction holds before the request is refused with 503.
        lock_timeout: Duration = Some("10s"),
    }

    /// Redis: fast and rebuildable.
    redis: RedisSettings in "redis" {
        /// `redis://[user:password@]host:port[/db]`.
        url: RedisUrl = None,
        /// What every key begins with; letters, digits and dashes.
        prefix: KeyPrefix = Some("plinth"),
        /// How long a command may take before PostgreSQL is asked instead.
        timeout: Duration = Some("1s"),
    }

    /// The object store.
    s3: S3Settings in "s3" {
        /// The endpoint's URL; none for Amazon's own.
        endpoint: Option<HttpUrl> = Some(""),
        /// The endpoint as clients reach it, for what they send to the object store themselves; none for the same one.
        public_endpoint: Option<HttpUrl> = Some(""),
        /// The region that requests are signed for.
        region: String = Some("us-east-1"),
        /// The bucket that holds every file.
        bucket: String = Some("plinth"),
        /// What the key of every object begins with, where others keep something in the bucket too; reconciliation looks at nothing else.
        prefix: ObjectPrefix = Some(""),
        /// The access key's id; without a key, credentials come from AWS's default chain: environment, profile, web identity, container, machine.
        access_key_id: Option<String> = Some(""),
        /// The access key's secret.
        secret_access_key: Option<Secret> = Some(""),
        /// Whether the bucket stands in the path rather than in the host name.
        path_style: bool = Some("true"),
        /// What S3 is asked to encrypt each object with, beside the sealing of every file: none (the bucket's own settings decide), AES256 (SSE-S3) or aws:kms (SSE-KMS).
        encryption: ServerSideEncryption = Some("none"),
        /// The KMS key's id, ARN or alias, only with aws:kms; none for the account's own key for S3.
        kms_key_id: Option<String> = Some(""),
        /// How long S3 may take to answer one attempt of a request, after the bytes of a part were sent to it. There are up to three attempts.
        timeout: Duration = Some("30s"),
    }

    /// Outgoing mail.
    smtp: SmtpSettings in "smtp" {
        /// `smtp://host:port` without TLS, `smtp://…?tls=required` with STARTTLS, `smtps://…` with TLS; user and password before the host.
        url: SmtpUrl = None,
        /// The sender of every mail.
        from: Sender = Some("Plinth <no-reply@localhost>"),
        /// Mails to one domain that are sent at once, by all workers together: a slow domain holds up its own mails only.
        per_domain: AtLeast<1> = Some("2"),
        /// How long a mail is sent again that the mail server does not take, from 1h to 30d; RFC 5321 recommends four to five days.
        retry_for: DurationBetween<{ 60 * 60 }, { 30 * 24 * 60 * 60 }> = Some("4d"),
        /// How long the mail server may take for one step of the conversation.
        timeout: Duration = Some("20s"),
    }

    /// The API server.
    api: ApiSettings in "api" {
        /// Where clients are served.
        bind: SocketAddr = Some("127.0.0.1:8080"),
        /// Where /healthz, /readyz and /metrics are served; keep it off the internet.
        internal_bind: SocketAddr = Some("127.0.0.1:8081"),
        /// Proxies whose X-Forwarded-For is believed.
        trusted_proxies: List<IpNet> = Some(""),
        /// Origins that browsers may call from, e.g. `https://app.example.org`.
        cors_origins: List<String> = Some(""),
        /// The longest JSON body.
        body_limit: ByteSize = Some("64KiB"),
        /// Connections of clients at once; more wait, while connections without a request are closed.
        max_connections: AtLeast<1> = Some("1024"),
        /// How long a request may take, and its head alone; for an upload or a download, how long it may stand still.
        request_timeout: Duration = Some("15s"),
        /// How long requests may go on after SIGTERM.
        shutdown_grace: Duration = Some("10s"),
    }

    /// Accounts and sessions.
    auth: AuthSettings in "auth" {
        /// How long an access token is valid.
        access_token_lifetime: Duration = Some("5m"),
        /// A session that is not refreshed for so long ends.
        session_idle_lifetime: Duration = Some("14d"),
        /// A session ends after so long, refreshed or not.
        session_lifetime: Duration = Some("30d"),
        /// Keys that sign access tokens, base64 of 32 bytes, several separated by commas: the first signs, all check. None for keys in the database, sealed, which `plinth-api keys rotate` changes.
        signing_keys: Option<SigningSeeds> = Some(""),
        /// How recently somebody must have proved who he is before he changes how he logs in.
        step_up_window: Duration = Some("5m"),
        /// How long a second factor may be waited for.
        challenge_lifetime: Duration = Some("5m"),
        /// How long the link in a verification mail works.
        verification_lifetime: Duration = Some("24h"),
        /// How long the link of a forgotten password works.
        password_reset_lifetime: Duration = Some("1h"),
        /// How long the link that confirms a new address works.
        email_change_lifetime: Duration = Some("24h"),
        /// How long the link works by which the old address takes itself back.
        email_undo_lifetime: Duration = Some("7d"),
        /// Second factors that were added within so long before a password reset are not trusted by it: they end as soon as an older factor is proved, and at once if there is none.
        recovery_window: Duration = Some("7d"),
        /// How long an account that was deleted can be restored; 0s deletes it at once.
        deletion_grace: DurationOrZero = Some("30d"),
        /// How hard a new password must be to guess, by zxcvbn's score: 0 takes any, 4 only the hardest.
        password_strength: Strength = Some("2"),
        /// Words that make no password, beside the product's name and the account's address: names of the company, its projects, its places.
        password_words: List<String> = Some(""),
        /// The domain that passkeys belong to; none for the host of the public URL.
        passkey_domain: Option<String> = Some(""),
        /// Origins whose pages may use passkeys; none for the public URL alone.
        passkey_origins: List<String> = Some(""),
        /// argon2id's memory; 19MiB is the floor, 1GiB the ceiling.
        argon2_memory: Argon2Memory = Some("19MiB"),
        /// argon2id's passes over that memory; 2 is the floor, 64 the ceiling.
        argon2_iterations: Between<2, MAX_ITERATIONS> = Some("2"),
        /// argon2id's lanes, 16 at most.
        argon2_parallelism: Between<1, MAX_LANES> = Some("1"),
        /// Threads that hash passwords; 0 for one a core.
        hash_threads: usize = Some("0"),
        /// Passwords that may wait for a thread; past it logins get 503.
        hash_queue: AtLeast<1> = Some("512"),
    }

    /// Rate limits; 0 switches one off.
    limits: LimitsSettings in "limits" {
        /// Requests a minute from one client address.
        ip_per_minute: u32 = Some("600"),
        /// Requests a minute of one user.
        user_per_minute: u32 = Some("1200"),
        /// Requests a minute with one API key.
        api_key_per_minute: u32 = Some("1200"),
        /// Registrations, logins and verifications a minute from one client address; half of them at once.
        auth_per_minute: u32 = Some("60"),
        /// Refreshes of sessions a minute from one client address; half of them at once. An office or a server-side renderer is one address.
        refresh_per_minute: u32 = Some("1200"),
    }

    /// Files.
    files: FilesSettings in "files" {
        /// The largest file.
        max_size: ByteSize = Some("5GiB"),
        /// Keys that wrap the key of each file, `name:base64 of 32 bytes`, several separated by commas: the first wraps, all unwrap; `plinth-worker keys rewrap` moves every file to the first. None for one that is derived from the root key.
        master_keys: Option<MasterKeyList> = Some(""),
        /// What all files of one account may take, its trash and older versions too; 0 for no bound.
        quota: ByteSize = Some("20GiB"),
        /// How many files one account may have, its trash too; 0 for no bound.
        max_count: u32 = Some("100000"),
        /// How many versions one file may have; another one is refused until one is deleted.
        max_versions: AtLeast<1> = Some("100"),
        /// Uploads that one account may have begun and not ended, resumable and direct ones together.
        unfinished_uploads: AtLeast<1> = Some("100"),
        /// Uploads of one account that one API process receives at once; more get 429.
        concurrent_uploads_per_account: AtLeast<1> = Some("64"),
        /// Uploads that one API process receives at once; more get 503. Their parts take 96 MiB of memory at most, and each upload half a MiB more with its connection.
        concurrent_uploads: AtLeast<1> = Some("256"),
        /// Which types a file may be of, as its first bytes and, of a text, its name show: `*/*` for any, or some like `image/*,application/pdf`.
        allowed_types: MediaTypes = Some("*/*"),
        /// What holders of a role have instead: `role: size=20GiB quota=1TiB count=0 types=image/*,video/*`, several separated by semicolons. Each of the four may be left out. Who has several of the roles has the largest of what they say.
        role_limits: LimitsByRole = Some(""),
        /// An upload that did not finish is removed after so long.
        abandoned_after: Duration = Some("24h"),
        /// How old an object is that no file has before reconciliation removes it, from 1d to 365d; it is never removed before an unfinished upload is.
        orphans_kept: DurationBetween<{ 24 * 60 * 60 }, { 365 * 24 * 60 * 60 }> = Some("7d"),
        /// Whether clients may send bytes to the object store themselves: such are not sealed, and lie there as the bucket encrypts them.
        direct_uploads: bool = Some("false"),
        /// Whether downloads of such bytes are sent on to the object store, whose origin must be another one than the API's and the application's.
        direct_downloads: bool = Some("false"),
        /// Whether the metadata of pictures (places, cameras, times, comments) is taken out of what users upload, before anybody can download it. A picture from which it cannot be taken is given to nobody.
        strip_metadata: bool = Some("false"),
        /// A deleted file can be restored for so long.
        trash_kept: Duration = Some("30d"),
        /// The images derived from a picture: `name=WIDTHxHEIGHT fit format`, several separated by semicolons. The fit is contain (all is seen) or cover (the box is filled), neither enlarges; the format is jpeg or webp with a quality from q1 to q100, or png. After a change, `plinth-worker variants regenerate` makes those of the files that are there.
        presets: Presets = Some("small=256x256 contain webp q75;large=1024x1024 contain jpeg q82"),
    }

    /// The scanner for viruses; the API and the workers must be told alike.
    clamav: ClamavSettings in "clamav" {
        /// Where clamd listens, `host:port` or `unix:/path`; none for files that nobody scans. A file then is available when clamd has found it clean, and not before.
        address: Option<Address> = Some(""),
        /// What becomes of files that are larger than clamd takes (`StreamMaxLength` in clamd.conf): `refuse`, so that nobody can download them, or `allow`.
        too_large: TooLargeToScan = Some("refuse"),
    }

    /// The worker.
    worker: WorkerSettings in "worker" {
        /// The queues that this worker serves.
        queues: List<Queue> = Some("email,files,notifications,cleanup"),
        /// Jobs of one queue that run at once.
        concurrency: AtLeast<1> = Some("4"),
        /// The same for single queues, e.g. `files=2,email=16`.
        queue_concurrency: List<QueueConcurrency> = Some(""),
        /// Jobs of the queue `files` of one owner that run at once, by all workers together: an owner with many files holds up their own only.
        files_per_owner: AtLeast<1> = Some("2"),
        /// When each periodic task is due: `name=` and the five fields of crontab in UTC, several separated by semicolons; a task that is not in it does not happen by itself.
        schedule: Schedule = Some("cleanup=0 * * * *; reconcile=30 3 * * *"),
        /// Where /healthz, /readyz and /metrics are served.
        internal_bind: SocketAddr = Some("127.0.0.1:9081"),
        /// How long a job is held without a sign of life before another worker may take it.
        lease: Duration = Some("30s"),
        /// How long one attempt may take.
        job_timeout: Duration = Some("5m"),
        /// How long jobs may go on after SIGTERM.
        shutdown_grace: Duration = Some("20s"),
        /// How long jobs that are done or cancelled stay in the ledger.
        jobs_kept: Duration = Some("7d"),
        /// The same for dead ones.
        dead_jobs_kept: Duration = Some("90d"),
        /// How long a registration can be proved by its mailed link and password; after it the clean-up removes it.
        unverified_registrations_kept: Duration = Some("7d"),
        /// How long notifications are kept after they were read.
        read_notifications_kept: Duration = Some("90d"),
        /// How long notifications are kept that nobody reads.
        unread_notifications_kept: Duration = Some("365d"),
    }

    /// Log lines.
    log: LogSettings in "log" {
        /// What is logged, in tracing's filter syntax, e.g. `info,sqlx=debug`.
        level: LogFilter = Some("info,poem=warn"),
        /// How a line looks; auto is text on a terminal and JSON otherwise.
        format: LogFormat = Some("auto"),
        /// A file that also receives every line as JSON; a new one each day, the last seven kept.
        file: Option<PathBuf> = Some(""),
    }

    /// Traces.
    telemetry: TelemetrySettings in "telemetry" {
        /// Where traces go by OTLP over gRPC, e.g. Jaeger's `http://jaeger:4317`; none for nowhere.
        otlp_endpoint: Option<HttpUrl> = Some(""),
    }
}

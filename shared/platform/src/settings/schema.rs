//! The declaration of all settings. The doc comments become docs/reference/settings.md.

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
    /// Settings that all parts share.
    general: GeneralSettings in "" {
        /// Secret from which every key is derived: base64 of at least 32 random bytes. `plinth-api
        /// keys generate` prints one.
        secret_key: RootSecret = None,
        /// URL at which clients reach the API: the issuer of tokens and the base of links in mails.
        public_url: HttpUrl = Some("http://127.0.0.1:8080"),
        /// Name of the product in mails and authenticator apps.
        product_name: String = Some("Plinth"),
        /// URL of a second host that serves users' files and nothing else. Downloads are redirected
        /// to it, so that the content of a file never shares an origin with the API. If unset, the
        /// API serves downloads.
        content_url: Option<HttpUrl> = Some(""),
    }

    /// PostgreSQL, the source of truth.
    database: DatabaseSettings in "database" {
        /// `postgres://user:password@host:port/database`.
        url: DatabaseUrl = None,
        /// Maximum number of connections that the requests or jobs of one process hold.
        max_connections: AtLeast<1> = Some("10"),
        /// How long a request waits for a free connection before it fails with 503.
        acquire_timeout: Duration = Some("5s"),
        /// Maximum duration of a statement. PostgreSQL cancels one that runs longer.
        statement_timeout: Duration = Some("30s"),
        /// How long a statement waits for a lock that another transaction holds before the request
        /// fails with 503.
        lock_timeout: Duration = Some("10s"),
    }

    /// Redis, for data that can be rebuilt.
    redis: RedisSettings in "redis" {
        /// `redis://[user:password@]host:port[/db]`.
        url: RedisUrl = None,
        /// Prefix of every key: letters, digits and dashes.
        prefix: KeyPrefix = Some("plinth"),
        /// How long a command may take before PostgreSQL is used instead.
        timeout: Duration = Some("1s"),
    }

    /// The object store.
    s3: S3Settings in "s3" {
        /// URL of the endpoint. If unset, Amazon's endpoint of the region.
        endpoint: Option<HttpUrl> = Some(""),
        /// URL of the endpoint as clients reach it, for direct uploads and downloads. If unset, the
        /// same as the endpoint.
        public_endpoint: Option<HttpUrl> = Some(""),
        /// Region for which requests are signed.
        region: String = Some("us-east-1"),
        /// Bucket that holds every file.
        bucket: String = Some("plinth"),
        /// Prefix of every object key, for a bucket that other applications share. Reconciliation
        /// examines only objects with this prefix.
        prefix: ObjectPrefix = Some(""),
        /// Id of the access key. If unset, credentials come from AWS's default chain: environment,
        /// profile, web identity, container, machine.
        access_key_id: Option<String> = Some(""),
        /// Secret of the access key.
        secret_access_key: Option<Secret> = Some(""),
        /// Whether the bucket's name is in the path of URLs rather than in the host name.
        path_style: bool = Some("true"),
        /// Server-side encryption to request for each object, in addition to Plinth's own
        /// encryption of files: none (the bucket's settings decide), AES256 (SSE-S3) or aws:kms
        /// (SSE-KMS).
        encryption: ServerSideEncryption = Some("none"),
        /// Id, ARN or alias of the KMS key; only with aws:kms. If unset, the account's default key
        /// for S3.
        kms_key_id: Option<String> = Some(""),
        /// How long S3 may take to answer one attempt of a request, after the bytes of a part were
        /// sent. A request has up to three attempts.
        timeout: Duration = Some("30s"),
    }

    /// Outgoing mail.
    smtp: SmtpSettings in "smtp" {
        /// `smtp://host:port` without TLS, `smtp://…?tls=required` with STARTTLS, `smtps://…` with
        /// TLS. User and password come before the host.
        url: SmtpUrl = None,
        /// Sender of every mail.
        from: Sender = Some("Plinth <no-reply@localhost>"),
        /// Maximum number of mails that all workers together send to one domain at once, so that a
        /// slow domain delays its own mails only.
        per_domain: AtLeast<1> = Some("2"),
        /// How long sending is retried while the mail server does not accept a mail, from 1h to
        /// 30d. RFC 5321 recommends four to five days.
        retry_for: DurationBetween<{ 60 * 60 }, { 30 * 24 * 60 * 60 }> = Some("4d"),
        /// How long the mail server may take for one step of the SMTP exchange.
        timeout: Duration = Some("20s"),
    }

    /// The API server.
    api: ApiSettings in "api" {
        /// Address at which clients are served.
        bind: SocketAddr = Some("127.0.0.1:8080"),
        /// Address at which /healthz, /readyz and /metrics are served. Keep it off the internet.
        internal_bind: SocketAddr = Some("127.0.0.1:8081"),
        /// Proxies whose X-Forwarded-For header is trusted.
        trusted_proxies: List<IpNet> = Some(""),
        /// Origins from which browsers may call the API, e.g. `https://app.example.org`.
        cors_origins: List<String> = Some(""),
        /// Maximum size of a JSON body.
        body_limit: ByteSize = Some("64KiB"),
        /// Maximum number of client connections. Further clients wait, and connections without a
        /// request are closed earlier.
        max_connections: AtLeast<1> = Some("1024"),
        /// Maximum duration of a request, and of its head alone. For an upload or a download, how
        /// long it may make no progress.
        request_timeout: Duration = Some("15s"),
        /// How long running requests may continue after SIGTERM.
        shutdown_grace: Duration = Some("10s"),
    }

    /// Accounts and sessions.
    auth: AuthSettings in "auth" {
        /// How long an access token is valid.
        access_token_lifetime: Duration = Some("5m"),
        /// A session ends if it is not refreshed for this time.
        session_idle_lifetime: Duration = Some("14d"),
        /// A session ends this long after the login, refreshed or not.
        session_lifetime: Duration = Some("30d"),
        /// Keys that sign access tokens: base64 of 32 bytes, several separated by commas. The first
        /// signs, all verify. If unset, the keys are stored encrypted in the database, and
        /// `plinth-api keys rotate` rotates them.
        signing_keys: Option<SigningSeeds> = Some(""),
        /// How recently a user must have proved their identity to change how they log in.
        step_up_window: Duration = Some("5m"),
        /// How long a login waits for its second factor.
        challenge_lifetime: Duration = Some("5m"),
        /// How long the link in a verification mail is valid.
        verification_lifetime: Duration = Some("24h"),
        /// How long the link in a password reset mail is valid.
        password_reset_lifetime: Duration = Some("1h"),
        /// How long the link that confirms a new address is valid.
        email_change_lifetime: Duration = Some("24h"),
        /// How long the link is valid by which the owner of the previous address can undo a change
        /// of address.
        email_undo_lifetime: Duration = Some("7d"),
        /// A password reset does not trust second factors that were added within this time before
        /// it: they are removed as soon as an older factor is proved, and at once if there is none.
        recovery_window: Duration = Some("7d"),
        /// How long a deleted account can be restored; 0s deletes accounts at once.
        deletion_grace: DurationOrZero = Some("30d"),
        /// Minimum strength of a new password as zxcvbn's score: 0 accepts any, 4 only the
        /// strongest.
        password_strength: Strength = Some("2"),
        /// Words that are not accepted as a password, in addition to the product's name and the
        /// account's address: for example names of the company, its projects and its places.
        password_words: List<String> = Some(""),
        /// Domain of passkeys (the relying party's id). If unset, the host of the public URL.
        passkey_domain: Option<String> = Some(""),
        /// Origins whose pages may use passkeys. If unset, the public URL alone.
        passkey_origins: List<String> = Some(""),
        /// Memory of argon2id, from 19MiB to 1GiB. The default is OWASP's minimum.
        argon2_memory: Argon2Memory = Some("19MiB"),
        /// Passes of argon2id over the memory, from 2 to 64.
        argon2_iterations: Between<2, MAX_ITERATIONS> = Some("2"),
        /// Lanes of argon2id, from 1 to 16.
        argon2_parallelism: Between<1, MAX_LANES> = Some("1"),
        /// Number of threads that hash passwords; 0 for one per core.
        hash_threads: usize = Some("0"),
        /// Maximum number of passwords that wait for a thread. Further logins get 503.
        hash_queue: AtLeast<1> = Some("512"),
    }

    /// Rate limits; 0 disables a limit.
    limits: LimitsSettings in "limits" {
        /// Requests per minute from one client address.
        ip_per_minute: u32 = Some("600"),
        /// Requests per minute of one user.
        user_per_minute: u32 = Some("1200"),
        /// Requests per minute with one API key.
        api_key_per_minute: u32 = Some("1200"),
        /// Registrations, logins and verifications per minute from one client address; half of them
        /// may come at once.
        auth_per_minute: u32 = Some("60"),
        /// Session refreshes per minute from one client address; half of them may come at once. The
        /// default is high because an office or a server-side renderer has one address.
        refresh_per_minute: u32 = Some("1200"),
    }

    /// Files.
    files: FilesSettings in "files" {
        /// Maximum size of a file.
        max_size: ByteSize = Some("5GiB"),
        /// Keys that wrap the key of each file: `name:base64 of 32 bytes`, several separated by
        /// commas. The first wraps, all unwrap; `plinth-worker keys rewrap` moves every file to the
        /// first. If unset, a key is derived from the root key.
        master_keys: Option<MasterKeyList> = Some(""),
        /// Maximum size of all files of one account, including its trash and older versions; 0 for
        /// no limit.
        quota: ByteSize = Some("20GiB"),
        /// Maximum number of files of one account, including its trash; 0 for no limit.
        max_count: u32 = Some("100000"),
        /// Maximum number of versions of a file. At the maximum, a new version is refused until one
        /// is deleted.
        max_versions: AtLeast<1> = Some("100"),
        /// Maximum number of unfinished uploads of one account, resumable and direct ones together.
        unfinished_uploads: AtLeast<1> = Some("100"),
        /// Maximum number of uploads of one account that one API process receives at once. Further
        /// ones get 429.
        concurrent_uploads_per_account: AtLeast<1> = Some("64"),
        /// Maximum number of uploads that one API process receives at once. Further ones get 503.
        /// Their parts take at most 96 MiB of memory, and each upload with its connection takes
        /// another half MiB.
        concurrent_uploads: AtLeast<1> = Some("256"),
        /// Media types that a file may have, detected from its first bytes and, for a text, its
        /// name: `*/*` for any, or a list like `image/*,application/pdf`.
        allowed_types: MediaTypes = Some("*/*"),
        /// Limits for users with a role, which replace the general ones: `role: size=20GiB
        /// quota=1TiB count=0 types=image/*,video/*`, several separated by semicolons. Each of the
        /// four is optional. A user with several of these roles has the largest of their limits.
        role_limits: LimitsByRole = Some(""),
        /// An unfinished upload is removed after this time.
        abandoned_after: Duration = Some("24h"),
        /// Minimum age at which reconciliation removes an object that belongs to no file, from 1d
        /// to 365d. An object is never removed while its upload may still be finished.
        orphans_kept: DurationBetween<{ 24 * 60 * 60 }, { 365 * 24 * 60 * 60 }> = Some("7d"),
        /// Whether clients may upload bytes directly to the object store. Plinth does not encrypt
        /// these; the bucket's encryption applies.
        direct_uploads: bool = Some("false"),
        /// Whether downloads of such bytes are redirected to the object store. Its origin must
        /// differ from the API's and the application's.
        direct_downloads: bool = Some("false"),
        /// Whether metadata (places, cameras, times, comments) is removed from uploaded pictures
        /// before they can be downloaded. A picture whose metadata cannot be removed is not
        /// available.
        strip_metadata: bool = Some("false"),
        /// How long a deleted file can be restored.
        trash_kept: Duration = Some("30d"),
        /// Presets of image variants: `name=WIDTHxHEIGHT fit format`, several separated by
        /// semicolons. The fit is contain (the whole picture is visible) or cover (the box is
        /// filled); neither enlarges. The format is jpeg or webp with a quality from q1 to q100, or
        /// png. After a change, `plinth-worker variants regenerate` creates the variants of
        /// existing files.
        presets: Presets = Some("small=256x256 contain webp q75;large=1024x1024 contain jpeg q82"),
    }

    /// The virus scanner. The API and the workers must have the same settings.
    clamav: ClamavSettings in "clamav" {
        /// Address of clamd: `host:port` or `unix:/path`. If set, a file is available only after
        /// clamd has found it clean. If unset, files are not scanned.
        address: Option<Address> = Some(""),
        /// Treatment of files that are larger than clamd's limit (`StreamMaxLength` in clamd.conf):
        /// `refuse` makes them unavailable, `allow` makes them available unscanned.
        too_large: TooLargeToScan = Some("refuse"),
    }

    /// The worker.
    worker: WorkerSettings in "worker" {
        /// Queues that this worker serves.
        queues: List<Queue> = Some("email,files,notifications,cleanup"),
        /// Maximum number of jobs of one queue that run at once in this worker.
        concurrency: AtLeast<1> = Some("4"),
        /// Exceptions from the concurrency for single queues, e.g. `files=2,email=16`.
        queue_concurrency: List<QueueConcurrency> = Some(""),
        /// Maximum number of jobs of the queue `files` that all workers together run for one owner
        /// at once, so that an owner with many files delays their own only.
        files_per_owner: AtLeast<1> = Some("2"),
        /// When each periodic task is due: `name=` and the five fields of crontab in UTC, several
        /// separated by semicolons. A task that is not listed does not run on its own.
        schedule: Schedule = Some("cleanup=0 * * * *; reconcile=30 3 * * *"),
        /// Address at which /healthz, /readyz and /metrics are served.
        internal_bind: SocketAddr = Some("127.0.0.1:9081"),
        /// Duration of a job's lease. If the worker does not renew it in time, another worker may
        /// take the job.
        lease: Duration = Some("30s"),
        /// Maximum duration of one attempt of a job.
        job_timeout: Duration = Some("5m"),
        /// How long running jobs may continue after SIGTERM.
        shutdown_grace: Duration = Some("20s"),
        /// How long completed and cancelled jobs are kept in the ledger.
        jobs_kept: Duration = Some("7d"),
        /// How long dead jobs are kept in the ledger.
        dead_jobs_kept: Duration = Some("90d"),
        /// How long a registration can be confirmed by its mailed link and password. After this
        /// time the clean-up removes it.
        unverified_registrations_kept: Duration = Some("7d"),
        /// How long notifications are kept after they were read.
        read_notifications_kept: Duration = Some("90d"),
        /// How long unread notifications are kept.
        unread_notifications_kept: Duration = Some("365d"),
    }

    /// Log lines.
    log: LogSettings in "log" {
        /// Filter of log lines in tracing's syntax, e.g. `info,sqlx=debug`.
        level: LogFilter = Some("info,poem=warn"),
        /// Format of log lines; auto is text on a terminal and JSON otherwise.
        format: LogFormat = Some("auto"),
        /// File that also receives every line as JSON. A new file is started each day, and the last
        /// seven are kept.
        file: Option<PathBuf> = Some(""),
    }

    /// Traces.
    telemetry: TelemetrySettings in "telemetry" {
        /// Endpoint that receives traces by OTLP over gRPC, e.g. Jaeger's `http://jaeger:4317`. If
        /// unset, no traces are collected.
        otlp_endpoint: Option<HttpUrl> = Some(""),
    }
}

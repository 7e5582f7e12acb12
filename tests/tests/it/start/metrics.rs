//! The internal port: liveness, readiness and metrics.

use std::collections::BTreeMap;

use plinth_testkit::{Process, Stage, until};
use reqwest::{Client, Method, StatusCode};

use crate::house::{Answer, Door, readiness};
use crate::picture::jpeg;

/// A page in Prometheus's text format: the types of its families, and the value of each series.
struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Parses a page by the rules of the format: help and type come before samples, each series
    /// occurs once, values are numbers.
    #[track_caller]
    fn read(text: &str) -> Self {
        let mut page = Self {
            types: BTreeMap::new(),
            samples: BTreeMap::new(),
        };
        assert!(text.ends_with('\n'), "the last line ends");
        let mut helped = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').expect("a help text").0;
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type has a name");
                assert_eq!(name, helped, "the help comes first");
                assert!(
                    page.types
                        .insert(name.to_owned(), kind.to_owned())
                        .is_none(),
                    "{name} occurs twice"
                );
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                let name = series.split('{').next().expect("not empty");
                let suffixes = ["_bucket", "_sum", "_count"];
                let family = suffixes
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .unwrap_or(name);
                assert!(
                    page.types.contains_key(name) || page.types.contains_key(family),
                    "{line} has no type"
                );
                let value = value
                    .parse()
                    .unwrap_or_else(|_| panic!("{line} has no number"));
                assert!(
                    page.samples.insert(series.to_owned(), value).is_none(),
                    "{series} occurs twice"
                );
            }
        }
        page
    }

    #[track_caller]
    fn promises(&self, families: &[(&str, &str)]) {
        for (name, kind) in families {
            assert_eq!(
                self.types.get(*name).map(String::as_str),
                Some(*kind),
                "{name} in {:?}",
                self.types
            );
            assert!(*kind != "counter" || name.ends_with("_total"), "{name}");
        }
    }

    /// Returns the sum of the samples of a family that have all of these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let wanted = |series: &str| {
            series.split('{').next() == Some(name)
                && labels.iter().all(|label| series.contains(label))
        };
        self.samples
            .iter()
            .filter(|(series, _)| wanted(series))
            .map(|(_, value)| value)
            .sum()
    }
}

#[tokio::test]
async fn running_processes_export_their_metrics() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    let person = door.person().await;
    for _ in 0..3 {
        person.get("/v1/me").await.expect(StatusCode::OK);
    }
    let file = person.upload("photo.jpg", jpeg(200, 100)).await;
    person.until_ready(file).await;
    let client = Client::builder().no_proxy().build().expect("a client");
    for process in [&api.internal_url, &worker.internal_url] {
        let alive = Answer::of(client.get(format!("{process}/healthz"))).await;
        assert_eq!(
            (alive.status, alive.bytes.as_slice()),
            (StatusCode::OK, &b"ok"[..])
        );
        assert_eq!(
            readiness(process).await,
            (StatusCode::OK, "ready".to_owned(), vec![])
        );
        let page = Answer::of(client.get(format!("{process}/metrics"))).await;
        assert_eq!(
            page.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
    }
    for private in ["/healthz", "/readyz", "/metrics"] {
        let answer = Answer::of(door.request(Method::GET, private)).await;
        answer.problem(404, "not_found");
    }

    let page = Page::read(&api.metrics().await);
    page.promises(&[
        ("plinth_http_requests_total", "counter"),
        ("plinth_http_request_duration_seconds", "histogram"),
        ("plinth_store_duration_seconds", "histogram"),
        ("plinth_cache_reads_total", "counter"),
    ]);
    let answered = |operation: &str, status: &str| {
        page.sum(
            "plinth_http_requests_total",
            &[
                &format!("operation=\"{operation}\""),
                &format!("status=\"{status}\""),
            ],
        )
    };
    assert!((answered("register", "202") - 1.0).abs() < f64::EPSILON);
    assert!((answered("readMe", "200") - 3.0).abs() < f64::EPSILON);
    assert!((answered("none", "404") - 3.0).abs() < f64::EPSILON);
    for store in ["postgresql", "redis"] {
        assert!(
            page.sum(
                "plinth_store_duration_seconds_count",
                &[&format!("store=\"{store}\"")]
            ) > 0.0,
            "{store}"
        );
    }
    for outcome in ["hit", "miss"] {
        assert!(
            page.sum(
                "plinth_cache_reads_total",
                &[&format!("outcome=\"{outcome}\"")]
            ) > 0.0,
            "{outcome}"
        );
    }

    until("the worker has counted its jobs", async || {
        let page = Page::read(&worker.metrics().await);
        page.promises(&[
            ("plinth_jobs_total", "counter"),
            ("plinth_store_duration_seconds", "histogram"),
        ]);
        let done = |queue: &str| {
            page.sum(
                "plinth_jobs_total",
                &[&format!("queue=\"{queue}\""), "outcome=\"done\""],
            )
        };
        ["email", "files", "notifications"]
            .iter()
            .all(|queue| (done(queue) - 1.0).abs() < f64::EPSILON)
            .then_some(())
    })
    .await;
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
}

//! A short `cargo dev chaos`; the long one is for a night.

use std::path::Path;

use plinth_testkit::Services;
use tokio::process::Command;

#[tokio::test]
async fn no_job_is_lost_or_runs_twice_at_once_under_random_faults() {
    let program = Services::get().binaries.join("plinth-dev");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("it is a folder of the checkout");
    let mut chaos = Command::new(program);
    chaos
        .args(["chaos", "--minutes", "0.25", "--built"])
        .current_dir(checkout)
        .kill_on_drop(true);
    let output = chaos.output().await.expect("it starts");
    let report = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    // The run checked something.
    let jobs = report
        .split(" jobs accepted")
        .next()
        .and_then(|text| text.split_whitespace().last());
    let jobs: u32 = jobs
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("{report}"));
    assert!(jobs > 100, "{report}");
    assert!(
        report.contains("ok      0 runs of one job at once"),
        "{report}"
    );
}

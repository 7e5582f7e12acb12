//! `cargo dev chaos` in short: the long one is for a night.

use std::path::Path;

use plinth_testkit::Services;
use tokio::process::Command;

#[tokio::test]
async fn no_job_is_lost_or_runs_twice_at_once_whatever_is_killed() {
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
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    // It looked at something.
    let jobs = told
        .split(" jobs accepted")
        .next()
        .and_then(|text| text.split_whitespace().last());
    let jobs: u32 = jobs
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("{told}"));
    assert!(jobs > 100, "{told}");
    assert!(told.contains("ok      0 runs of one job at once"), "{told}");
}

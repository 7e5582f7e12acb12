//! The image sandbox: child processes render images, whatever the files contain and however the
//! processes end.

use std::fmt::{self, Write as _};
use std::io::{BufRead as _, BufReader, Cursor};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use nix::sys::signal::Signal;
use plinth_domain::preset::Recipe;
use plinth_pictures::contain::ENVIRONMENT;
use plinth_pictures::protocol::{
    Grant, MAX_MESSAGE_BYTES, MemoryEstimate, Request, parse_message, read_frame,
    serialize_message, write_frame,
};
use plinth_pictures::{RenderedImage, Unreadable};
use plinth_testkit::until;
use plinth_worker::files::{Crash, ImageSandbox, SandboxError};

const MAX_PIXELS: u64 = 100_000_000;

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_plinth-image-sandbox"))
}

pub(crate) fn recipes() -> Vec<Recipe> {
    ["256x256 cover webp q75", "1024x1024 contain jpeg q82"]
        .map(|text| text.parse().expect("a recipe"))
        .to_vec()
}

/// An image of random pixels, which no encoder can compress.
pub(crate) fn noise(width: u32, height: u32) -> DynamicImage {
    let mut random = fastrand::Rng::with_seed(7);
    RgbImage::from_fn(width, height, |_, _| {
        Rgb([random.u8(..), random.u8(..), random.u8(..)])
    })
    .into()
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

/// Starts a child that has received nothing yet.
fn child() -> Child {
    let child = Command::new(program())
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    child.expect("the binary starts")
}

/// Waits until a line of a file in /proc of a process starts with `prefix`, and returns the line.
async fn until_proc_shows(pid: u32, file: &str, prefix: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    until(&format!("{path} shows {prefix}"), async || {
        let text = std::fs::read_to_string(&path).ok()?;
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(line).find(|line| line.starts_with(prefix))
    })
    .await
}

#[tokio::test]
async fn a_child_drops_its_privileges_before_it_reads_a_byte() {
    let mut child = child();
    until_proc_shows(child.id(), "status", "Seccomp: 2").await;
    until_proc_shows(child.id(), "status", "NoNewPrivs: 1").await;
    for limit in [
        "Max cpu time 20 20",
        "Max file size 0 0",
        "Max data size 1073741824 1073741824",
        "Max core file size 0 0",
        "Max open files 3 3",
    ] {
        until_proc_shows(child.id(), "limits", limit).await;
    }
    until_proc_shows(child.id(), "status", "Threads: 1").await;
    child.kill().expect("it runs");
    child.wait().expect("waits");
}

#[tokio::test]
async fn a_child_cannot_use_more_memory_than_granted() {
    let mut child = child();
    let mut input = child.stdin.take().expect("is piped");
    let mut output = child.stdout.take().expect("is piped");
    let file = encoded(&noise(2_000, 1_500), ImageFormat::Png);
    let request = Request::Render {
        recipes: recipes(),
        max_pixels: MAX_PIXELS,
    };
    write_frame(
        &mut input,
        &serialize_message(&request).expect("is written"),
    )
    .expect("is read");
    write_frame(&mut input, &file).expect("is read");
    let weighed = parse_message(&read_frame(&mut output, MAX_MESSAGE_BYTES).expect("answers"))
        .expect("a message");
    let MemoryEstimate::Needs(needs) = weighed else {
        panic!("{weighed:?}")
    };
    let (pixels, file) = (2_000 * 1_500 * 3, u64::try_from(file.len()).expect("fits"));
    assert!(
        needs > pixels + file && needs < 5 * (pixels + file) + (64 << 20),
        "{needs}"
    );
    let memory = file + (12 << 20);
    write_frame(
        &mut input,
        &serialize_message(&Grant { memory }).expect("is written"),
    )
    .expect("is read");
    let answer = read_frame(&mut output, MAX_MESSAGE_BYTES);
    let end = child.wait_with_output().expect("it ends");
    match answer {
        Ok(answer) => assert_eq!(answer, br#"{"unreadable":"too_much_memory"}"#),
        Err(_) => assert_eq!(end.status.signal(), Some(Signal::SIGABRT as i32), "{end:?}"),
    }
}

#[tokio::test]
async fn a_child_dies_with_its_worker() {
    // The shell takes the place of the worker. The input of the child stays open in this process.
    let script = format!("exec 3<&0; '{}' <&3 & echo $!; wait", program().display());
    let shell = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut shell = shell.expect("sh starts");
    let _input = shell.stdin.take().expect("is piped");
    let mut line = String::new();
    BufReader::new(shell.stdout.take().expect("is piped"))
        .read_line(&mut line)
        .expect("a line");
    let child: u32 = line.trim().parse().expect("an id");
    until_proc_shows(child, "status", "Seccomp: 2").await;
    shell.kill().expect("it runs");
    shell.wait().expect("waits");
    until("the child has ended", async || {
        let state = std::fs::read_to_string(format!("/proc/{child}/status"));
        state
            .map_or(true, |status| status.contains("State:\tZ"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_image_is_rendered_by_every_recipe_in_order() {
    let sandbox = ImageSandbox::new(program());
    let jpeg = encoded(&noise(1_600, 900), ImageFormat::Jpeg);
    let made = sandbox
        .render(&jpeg, &recipes())
        .await
        .expect("no sandbox error")
        .expect("is read");
    assert_eq!(
        (
            made.picture.width,
            made.picture.height,
            &made.picture.taken_at
        ),
        (1_600, 900, &None)
    );
    assert!(made.picture.blurhash.is_some());
    let images: Vec<_> = made
        .images
        .iter()
        .map(
            |RenderedImage {
                 width,
                 height,
                 bytes,
             }| {
                let format = image::guess_format(bytes).expect("an image");
                let picture = image::load_from_memory(bytes).expect("is read");
                assert_eq!((picture.width(), picture.height()), (*width, *height));
                (format, *width, *height)
            },
        )
        .collect();
    assert_eq!(
        images,
        [
            (ImageFormat::WebP, 256, 256),
            (ImageFormat::Jpeg, 1024, 576)
        ]
    );
}

/// This file needs more memory per pixel than any other: three planes of twelve bits.
#[tokio::test]
async fn a_large_avif_is_rendered_within_its_granted_memory() {
    let avif = include_bytes!("../../../shared/pictures/tests/fixtures/large.avif");
    let made = ImageSandbox::new(program()).render(avif, &recipes()).await;
    let made = made.expect("no sandbox error").expect("is read");
    assert_eq!((made.picture.width, made.picture.height), (4_000, 3_000));
    let sizes: Vec<_> = made
        .images
        .iter()
        .map(|RenderedImage { width, height, .. }| (*width, *height))
        .collect();
    assert_eq!(sizes, [(256, 256), (1_024, 768)]);
}

/// With many levels of alpha, libwebp sorts more than a kilobyte. Before that, glibc older than
/// 2.37 makes a system call for the memory size of the machine, which the filter must allow.
#[tokio::test]
async fn soft_transparency_is_rendered_under_the_seccomp_filter() {
    let sandbox = ImageSandbox::new(program());
    let soft = RgbaImage::from_fn(64, 64, |x, y| {
        Rgba([200, 100, 50, u8::try_from(x * 4 + y % 4).unwrap_or(255)])
    });
    let soft = encoded(&soft.into(), ImageFormat::Png);
    let files: [(&str, &[u8]); 3] = [
        (
            "min-alpha-16",
            include_bytes!("../../../shared/pictures/tests/fixtures/min-alpha-16.png"),
        ),
        (
            "png-pal-trns",
            include_bytes!("../../../shared/pictures/tests/fixtures/png-pal-trns.png"),
        ),
        ("every level", &soft),
    ];
    let recipes: Vec<Recipe> = [
        "256x256 contain webp q75",
        "256x256 contain webp q100",
        "256x256 contain png",
    ]
    .map(|text| text.parse().expect("a recipe"))
    .to_vec();
    for (name, file) in files {
        let made = sandbox
            .render(file, &recipes)
            .await
            .expect(name)
            .expect(name);
        for RenderedImage { bytes, .. } in &made.images {
            assert!(
                image::load_from_memory(bytes)
                    .expect(name)
                    .color()
                    .has_alpha(),
                "{name}"
            );
        }
    }
}

/// Returns a sandbox whose program is a line of shell.
fn shell_sandbox(folder: &Path, line: &str) -> ImageSandbox {
    let path = folder.join("sandbox");
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("sets the mode");
    ImageSandbox::new(path)
}

/// Returns the number of crashes with this signal in the metrics.
fn crashes(signal: &str) -> f64 {
    let page = plinth_platform::telemetry::metrics::page();
    let name = format!("plinth_picture_process_crashes_total{{signal=\"{signal}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// The logged errors with their fields.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Errors {
    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no holder panics").clone()
    }
}

impl tracing::Subscriber for Errors {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn fmt::Debug| {
                write!(line, "{field}={value:?} ").expect("writing to a string cannot fail");
            },
        );
        self.0.lock().expect("no holder panics").push(line);
    }

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

#[tokio::test]
async fn faults_of_the_sandbox_are_distinguished_from_faults_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let end = async |line: &str| {
        shell_sandbox(folder.path(), line)
            .render(b"file", &recipes())
            .await
    };
    assert!(matches!(
        end("kill -9 $$").await,
        Err(SandboxError::Killed(Signal::SIGKILL))
    ));
    assert!(
        matches!(end("echo no seccomp >&2; exit 1").await, Err(SandboxError::Exited(words)) if words == "no seccomp")
    );
    for (line, crash) in [
        ("kill -SEGV $$", Crash::Signal(Signal::SIGSEGV)),
        ("kill -SYS $$", Crash::Signal(Signal::SIGSYS)),
        ("kill -ABRT $$", Crash::Signal(Signal::SIGABRT)),
        ("exit 101", Crash::Panic),
    ] {
        let (errors, before) = (Errors::default(), crashes(crash.name()));
        let logging = tracing::subscriber::set_default(errors.clone());
        assert!(
            matches!(end(line).await, Err(SandboxError::Crashed(of)) if of == crash),
            "{line}"
        );
        drop(logging);
        assert!(crashes(crash.name()) > before, "{line} is counted");
        let logged = errors.lines();
        let signal = format!("signal={:?}", crash.name());
        assert!(
            logged.len() == 1 && logged[0].contains(&signal),
            "{line}: {logged:?}"
        );
        assert!(
            logged[0].contains("image sandbox crashed"),
            "{line}: {logged:?}"
        );
    }
    assert_eq!(
        end("kill -XCPU $$").await.expect("no sandbox error"),
        Err(Unreadable::TooMuchTime)
    );
    let absent = ImageSandbox::new(folder.path().join("absent"));
    assert!(matches!(
        absent.render(b"file", &recipes()).await,
        Err(SandboxError::Start(_))
    ));
}

#[tokio::test]
async fn answers_of_a_compromised_child_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let frame = |text: &str| format!(r"printf '\000\000\000\{:03o}%s' '{text}'", text.len());
    let needs = frame(r#"{"needs":1}"#);
    let picture = r#"{"width":9,"height":9,"taken_at":null,"blurhash":null}"#;
    let made_of = |picture: &str, sizes: &str| {
        let answer = format!(r#"{{"made":{{"picture":{picture},"sizes":[{sizes}]}}}}"#);
        format!("{needs}; {}", frame(&answer))
    };
    let made = |sizes: &str| made_of(picture, sizes);
    let size = r#"{"width":9,"height":9}"#;
    for (name, line) in [
        ("an endless frame", r"printf '\377\377\377\377'".to_owned()),
        ("no message", frame("hello")),
        ("unknown fields", frame(r#"{"needs":1,"please":2}"#)),
        ("too few images", made(size)),
        (
            "too large an image",
            made(&format!(r#"{size},{{"width":1025,"height":9}}"#)),
        ),
        (
            "an image without pixels",
            made(&format!(r#"{size},{{"width":0,"height":9}}"#)),
        ),
        (
            "a source without pixels",
            made_of(&picture.replace('9', "0"), &format!("{size},{size}")),
        ),
        (
            "an invalid time",
            made_of(
                &picture.replacen("null", "\"<script>\"", 1),
                &format!("{size},{size}"),
            ),
        ),
        (
            "too many bytes",
            format!(
                r"{}; printf '\377\000\000\000'",
                made(&format!("{size},{size}"))
            ),
        ),
    ] {
        let line = format!("{line}; cat >/dev/null");
        let result = shell_sandbox(folder.path(), &line)
            .render(b"file", &recipes())
            .await;
        assert!(
            matches!(result, Err(SandboxError::Crashed(Crash::ProtocolViolation))),
            "{name}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_child_does_not_inherit_the_environment_of_the_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().join("seen");
    let sandbox = shell_sandbox(
        folder.path(),
        &format!("env > {}; pwd >> {0}; exit 1", seen.display()),
    );
    sandbox
        .render(b"file", &recipes())
        .await
        .expect_err("it exits with an error");
    let seen = std::fs::read_to_string(&seen).expect("was written");
    // The shell adds some variables. The allocator has a setting.
    for line in seen.lines() {
        let known = [
            "PWD=/",
            "OLDPWD=",
            "SHLVL=",
            "_=",
            "GLIBC_TUNABLES=glibc.malloc.",
            "/",
        ];
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
    }
}

#[test]
fn a_worker_without_the_sandbox_program_reports_it_at_start() {
    // The program of the tests is in another folder than the programs of the workspace.
    let error = ImageSandbox::installed()
        .expect_err("the program is missing")
        .to_string();
    assert!(
        error.ends_with(
            "plinth-image-sandbox cannot be read; expected it in the folder of plinth-worker"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn memory_is_released_however_a_child_ends() {
    let sandbox = ImageSandbox::new(program());
    let jpeg = encoded(&noise(1_600, 900), ImageFormat::Jpeg);
    let recipes = recipes();
    // The work is dropped at once, half-way, and at the end.
    for wait in [0, 5, 30, 200] {
        let work = sandbox.render(&jpeg, &recipes);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(wait), work).await;
    }
    sandbox
        .render(b"no image", &recipes)
        .await
        .expect("no sandbox error")
        .expect_err("not an image");
    // This file needs the whole budget, so it waits until it runs alone. It has no pixels.
    let result = sandbox
        .render(&super::hostile::png_bomb(9_900, 9_900), &recipes)
        .await;
    assert_eq!(result.expect("no sandbox error"), Err(Unreadable::Damaged));
}

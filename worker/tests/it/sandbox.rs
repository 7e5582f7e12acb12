//! Pictures are made by child processes, whatever is in the files and whatever becomes of the processes.

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
    PathBuf::from(env!("CARGO_BIN_EXE_plinth-darkroom"))
}

pub(crate) fn recipes() -> Vec<Recipe> {
    ["256x256 cover webp q75", "1024x1024 contain jpeg q82"]
        .map(|text| text.parse().expect("a recipe"))
        .to_vec()
}

/// What no encoder makes small: every pixel is another.
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

/// A child that nobody has said anything to yet.
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

/// Waits for what the kernel says of a process.
async fn told(pid: u32, file: &str, what: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    until(&format!("{path} says {what}"), async || {
        let text = std::fs::read_to_string(&path).ok()?;
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(line).find(|line| line.starts_with(what))
    })
    .await
}

#[tokio::test]
async fn a_child_gives_up_everything_before_it_reads_a_byte() {
    let mut child = child();
    told(child.id(), "status", "Seccomp: 2").await;
    told(child.id(), "status", "NoNewPrivs: 1").await;
    for limit in [
        "Max cpu time 20 20",
        "Max file size 0 0",
        "Max data size 1073741824 1073741824",
        "Max core file size 0 0",
        "Max open files 3 3",
    ] {
        told(child.id(), "limits", limit).await;
    }
    told(child.id(), "status", "Threads: 1").await;
    child.kill().expect("it runs");
    child.wait().expect("it can be waited for");
}

#[tokio::test]
async fn memory_that_was_not_granted_is_not_had() {
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
    // The shell is the worker; the child's input stays open in this process.
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
    told(child, "status", "Seccomp: 2").await;
    shell.kill().expect("it runs");
    shell.wait().expect("it can be waited for");
    until("the child is gone", async || {
        let state = std::fs::read_to_string(format!("/proc/{child}/status"));
        state
            .map_or(true, |status| status.contains("State:\tZ"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn pictures_are_made_by_every_recipe_in_turn() {
    let sandbox = ImageSandbox::new(program());
    let jpeg = encoded(&noise(1_600, 900), ImageFormat::Jpeg);
    let made = sandbox
        .develop(&jpeg, &recipes())
        .await
        .expect("no breakdown")
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
    let looks: Vec<_> = made
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
        looks,
        [
            (ImageFormat::WebP, 256, 256),
            (ImageFormat::Jpeg, 1024, 576)
        ]
    );
}

/// What takes the most memory for each pixel that any file does: three planes of twelve bits.
#[tokio::test]
async fn an_avif_of_a_camera_is_made_within_what_was_granted() {
    let avif = include_bytes!("../../../shared/pictures/tests/fixtures/large.avif");
    let made = ImageSandbox::new(program()).develop(avif, &recipes()).await;
    let made = made.expect("no breakdown").expect("is read");
    assert_eq!((made.picture.width, made.picture.height), (4_000, 3_000));
    let sizes: Vec<_> = made
        .images
        .iter()
        .map(|RenderedImage { width, height, .. }| (*width, *height))
        .collect();
    assert_eq!(sizes, [(256, 256), (1_024, 768)]);
}

/// Many levels of alpha: what libwebp sorts then is more than a kilobyte, and glibc before 2.37 asks how much memory the
/// machine has before it sorts that.
#[tokio::test]
async fn soft_transparency_is_made_with_whatever_the_c_library_calls() {
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
            .develop(file, &recipes)
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

/// A program in place of ours that does what this line of shell says.
fn double(folder: &Path, line: &str) -> ImageSandbox {
    let path = folder.join("double");
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("may be run");
    ImageSandbox::new(path)
}

/// How many crashes with this signal were counted.
fn crashes(signal: &str) -> f64 {
    let page = plinth_platform::telemetry::metrics::page();
    let name = format!("plinth_picture_process_crashes_total{{signal=\"{signal}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// The errors that are logged, each with its fields.
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
async fn an_end_that_is_not_the_files_fault_is_told_from_one_that_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let end = async |line: &str| {
        double(folder.path(), line)
            .develop(b"file", &recipes())
            .await
    };
    assert!(matches!(
        end("kill -9 $$").await,
        Err(SandboxError::Killed(Signal::SIGKILL))
    ));
    assert!(
        matches!(end("echo no seccomp >&2; exit 1").await, Err(SandboxError::GaveUp(words)) if words == "no seccomp")
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
            logged[0].contains("a process that makes pictures crashed"),
            "{line}: {logged:?}"
        );
    }
    assert_eq!(
        end("kill -XCPU $$").await.expect("no breakdown"),
        Err(Unreadable::TooMuchTime)
    );
    let absent = ImageSandbox::new(folder.path().join("absent"));
    assert!(matches!(
        absent.develop(b"file", &recipes()).await,
        Err(SandboxError::Start(_))
    ));
}

#[tokio::test]
async fn a_child_that_was_taken_over_is_not_believed() {
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
    for (what, line) in [
        ("an endless frame", r"printf '\377\377\377\377'".to_owned()),
        ("no message", frame("hello")),
        ("more fields", frame(r#"{"needs":1,"please":2}"#)),
        ("fewer pictures", made(size)),
        (
            "a larger one",
            made(&format!(r#"{size},{{"width":1025,"height":9}}"#)),
        ),
        (
            "one of nothing",
            made(&format!(r#"{size},{{"width":0,"height":9}}"#)),
        ),
        (
            "a picture of nothing",
            made_of(&picture.replace('9', "0"), &format!("{size},{size}")),
        ),
        (
            "a time that is none",
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
        let told = double(folder.path(), &line)
            .develop(b"file", &recipes())
            .await;
        assert!(
            matches!(told, Err(SandboxError::Crashed(Crash::Nonsense))),
            "{what}: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_child_learns_nothing_of_the_workers_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().join("seen");
    let sandbox = double(
        folder.path(),
        &format!("env > {}; pwd >> {0}; exit 1", seen.display()),
    );
    sandbox
        .develop(b"file", &recipes())
        .await
        .expect_err("it gives up");
    let seen = std::fs::read_to_string(&seen).expect("was written");
    // What the shell itself adds, and what the allocator is told.
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
fn without_the_program_beside_it_a_worker_says_so_at_once() {
    // This test's own program lies in another folder than those that it tests.
    let told = ImageSandbox::beside_this_program()
        .expect_err("it is not there")
        .to_string();
    assert!(
        told.ends_with("plinth-darkroom cannot be read; it belongs beside plinth-worker"),
        "{told}"
    );
}

#[tokio::test]
async fn memory_is_given_back_however_a_picture_ends() {
    let sandbox = ImageSandbox::new(program());
    let jpeg = encoded(&noise(1_600, 900), ImageFormat::Jpeg);
    let recipes = recipes();
    // Dropped at once, in the middle, and at the end.
    for wait in [0, 5, 30, 200] {
        let work = sandbox.develop(&jpeg, &recipes);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(wait), work).await;
    }
    sandbox
        .develop(b"no image", &recipes)
        .await
        .expect("no breakdown")
        .expect_err("it is none");
    // One that needs all there is, and has no pixels: it waits until it is alone.
    let told = sandbox
        .develop(&super::hostile::png_bomb(9_900, 9_900), &recipes)
        .await;
    assert_eq!(told.expect("no breakdown"), Err(Unreadable::Damaged));
}

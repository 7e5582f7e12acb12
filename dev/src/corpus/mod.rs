//! `cargo dev corpus`: renders every picture of a folder in the sandboxed process, as a worker
//! does, and compares the images with those of libvips, and with Pillow's if libvips cannot read
//! the file or has others.

mod files;
mod lines;
mod table;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

use crate::build::{self, Profile};
use crate::cli::Corpus;
use crate::console;
use crate::layout::Layout;
use crate::provision::python;
use crate::up::{Signals, interrupted};

use lines::Answerer;
use table::Table;

/// The packages of the references.
const REFERENCE: [&str; 4] = [
    "pyvips==3.2.0",
    "pyvips-binary==8.18.7",
    "pillow==13.0.0",
    "numpy==2.4.6",
];

/// The largest difference that is not reported, in levels of 0 to 255.
const MAX_DIFFERENCE: f64 = 5.0;

/// Files between two lines on progress.
const PROGRESS: usize = 250;

/// The result for a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rendered {
    Shown {
        /// Width and height of the upright picture.
        size: [u32; 2],
        /// The derived images by the names of their presets.
        images: BTreeMap<String, PathBuf>,
    },
    /// With the reason that the API returns.
    Refused(String),
    /// With the signal.
    Crashed(String),
}

/// The results of the references for a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Compared {
    /// Of libvips, and of Pillow if libvips cannot read the file or differs.
    Readable(Vec<Reading>),
    Unreadable(String),
}

/// A picture as one reference reads it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Reading {
    reader: String,
    /// Width and height of the upright picture.
    size: [u32; 2],
    /// In levels of 0 to 255, by preset; none of a picture that was not shown.
    #[serde(default)]
    differences: BTreeMap<String, f64>,
    /// Whether the sizes are equal and no difference is too large.
    #[serde(default)]
    agree: bool,
}

/// A file with its results.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    path: PathBuf,
    format: &'static str,
    rendered: Rendered,
    compared: Compared,
}

pub(crate) async fn run(layout: &Layout, args: &Corpus) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let files = files::under(&args.folder)?;
    if files.is_empty() {
        bail!("{} has no files", args.folder.display());
    }
    let prepared = async {
        let python = python::environment(layout, "corpus", &REFERENCE).await?;
        Ok((
            python,
            build::binaries(layout, Profile::Debug, &["corpus-renderer"])
                .await?
                .join("corpus-renderer"),
        ))
    };
    let Some((python, renderer)) = signals.unless_told(prepared).await? else {
        return Ok(interrupted());
    };
    let script = layout.root.join("dev/src/corpus/reference.py");
    let programs = Programs {
        renderer,
        python,
        script,
    };
    let Some(table) = signals
        .unless_told(compare(&programs, &args.folder, &files))
        .await?
    else {
        return Ok(interrupted());
    };
    console::print(&table.to_string());
    if table.has_crashes() {
        console::complain("the sandboxed process crashed");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

struct Programs {
    renderer: PathBuf,
    python: PathBuf,
    script: PathBuf,
}

/// Compares all files, one on each processor at a time.
async fn compare(programs: &Programs, folder: &Path, files: &[PathBuf]) -> Result<Table> {
    let (queue, table) = (
        RefCell::new(files.iter().enumerate()),
        RefCell::new(Table::default()),
    );
    let next = || queue.borrow_mut().next();
    let workers = (0..available_parallelism()?.get()).map(|_| async {
        let mut pair = Pair::start(programs)?;
        while let Some((number, path)) = next() {
            if number > 0 && number % PROGRESS == 0 {
                console::note(&format!("{number} of {} files", files.len()));
            }
            let Some(format) = files::format(path)? else {
                table.borrow_mut().count_no_picture();
                continue;
            };
            let (rendered, compared) = pair.compare(programs, path).await?;
            let path = path.strip_prefix(folder).unwrap_or(path).to_owned();
            table.borrow_mut().add(Outcome {
                path,
                format,
                rendered,
                compared,
            });
        }
        Ok::<_, anyhow::Error>(())
    });
    try_join_all(workers).await?;
    Ok(table.into_inner())
}

/// A renderer and a reference, which take turns.
struct Pair {
    renderer: Answerer,
    reference: Answerer,
    /// The folder of the derived images of one file.
    _images: tempfile::TempDir,
}

impl Pair {
    fn start(programs: &Programs) -> Result<Self> {
        let images = tempfile::tempdir().context("making a folder for the images")?;
        Ok(Self {
            renderer: Answerer::start(&programs.renderer, images.path())?,
            reference: Answerer::start(&programs.python, &programs.script)?,
            _images: images,
        })
    }

    async fn compare(&mut self, programs: &Programs, path: &Path) -> Result<(Rendered, Compared)> {
        let Some(name) = path.to_str().filter(|name| !name.contains('\n')) else {
            bail!("the name of {} is no line of text", path.display());
        };
        let rendered = self
            .renderer
            .ask(name)
            .await
            .with_context(|| format!("rendering {name}"))?;
        let rendered = rendered.with_context(|| format!("no answer to {name}"))?;
        let question = match &rendered {
            Rendered::Shown { size, images } => {
                json!({ "path": name, "size": size, "images": images, "max_difference": MAX_DIFFERENCE })
            }
            Rendered::Refused(_) | Rendered::Crashed(_) => json!({ "path": name }),
        };
        if let Some(compared) = self.reference.ask(&question.to_string()).await? {
            return Ok((rendered, compared));
        }
        // The libraries of the reference can crash, too.
        self.reference = Answerer::start(&programs.python, &programs.script)?;
        Ok((
            rendered,
            Compared::Unreadable("the reference crashed or took too long".to_owned()),
        ))
    }
}

//! Where pictures are made and stripped: a child process for each, and never more of them at once than memory is set aside for.

mod child;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plinth_domain::preset::Recipe;
use plinth_pictures::contain::MAX_MEMORY_BYTES;
use plinth_pictures::protocol::{
    Grant, MAX_IMAGES_BYTES, MAX_SOURCE_BYTES, MemoryEstimate, ProtocolError, Request, Response,
    Size,
};
use plinth_pictures::{RenderedImage, RenderedPicture, Stripped, Unreadable};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use child::Child;
pub use child::{Crash, SandboxError};

/// The largest picture, in pixels.
const MAX_PIXELS: u64 = 100_000_000;

/// Memory for pictures in the making, in MiB. The largest one takes all of it and waits until it is alone.
const BUDGET: u32 = 1_024;

const MEBIBYTE: u64 = 1024 * 1024;

/// How long a child may take for the header, and how long for the rest: no more than a stall lets it overrun its limit
/// of processor time.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program that children are, beside this one.
pub(crate) const PROGRAM: &str = "plinth-darkroom";

/// Starts children and talks to them. Clones share the budget.
#[derive(Debug, Clone)]
pub struct ImageSandbox {
    program: Arc<Program>,
    budget: Arc<Semaphore>,
}

#[derive(Debug)]
struct Program {
    path: PathBuf,
    /// Open as long as the path is that of its descriptor.
    _file: Option<File>,
}

/// Why there can be no children.
#[derive(Debug, thiserror::Error)]
pub enum SandboxMissing {
    #[error("nobody knows where this program lies")]
    Nowhere(#[source] io::Error),
    #[error("{} cannot be read; it belongs beside plinth-worker", path.display())]
    Absent { path: PathBuf, source: io::Error },
}

/// Why a child gave no pictures.
enum ChildError {
    /// It said so itself.
    Unreadable(Unreadable),
    /// It said something else than was expected, or nothing any more.
    Protocol(ProtocolError),
    Timeout,
}

impl From<ProtocolError> for ChildError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl ImageSandbox {
    /// Children are of this program.
    pub fn new(path: PathBuf) -> Self {
        Self::of(Program { path, _file: None })
    }

    /// Children are of the program that was built and installed together with this one, also when its file has been
    /// replaced meanwhile.
    ///
    /// # Errors
    /// It is not there.
    pub fn beside_this_program() -> Result<Self, SandboxMissing> {
        let path = std::env::current_exe()
            .map_err(SandboxMissing::Nowhere)?
            .with_file_name(PROGRAM);
        let file = File::open(&path).map_err(|source| SandboxMissing::Absent {
            path: path.clone(),
            source,
        })?;
        let held = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if held.exists() {
            return Ok(Self::of(Program {
                path: held,
                _file: Some(file),
            }));
        }
        Ok(Self::new(path))
    }

    fn of(program: Program) -> Self {
        let budget = usize::try_from(BUDGET).expect("32 bits fit");
        Self {
            program: Arc::new(program),
            budget: Arc::new(Semaphore::new(budget)),
        }
    }

    /// Makes an image by each recipe, in their order, or says for the owner of the file why there is none.
    ///
    /// # Errors
    /// It is not the file's fault, and may go well another time.
    pub async fn develop(
        &self,
        file: &[u8],
        recipes: &[Recipe],
    ) -> Result<Result<RenderedPicture, Unreadable>, SandboxError> {
        let request = Request::Render {
            recipes: recipes.to_vec(),
            max_pixels: MAX_PIXELS,
        };
        self.ask(file, &request, async |child| images(child, recipes).await)
            .await
    }

    /// Takes the metadata out of a file, or says for its owner why it cannot.
    ///
    /// # Errors
    /// It is not the file's fault, and may go well another time.
    pub async fn strip(&self, file: &[u8]) -> Result<Result<Stripped, Unreadable>, SandboxError> {
        self.ask(file, &Request::Strip, stripped).await
    }

    /// Gives the file to a child; what `hear` hears from it once its memory is granted.
    async fn ask<T>(
        &self,
        file: &[u8],
        request: &Request,
        hear: impl AsyncFnOnce(&mut Child) -> Result<T, ChildError>,
    ) -> Result<Result<T, Unreadable>, SandboxError> {
        let mut child = Child::start(&self.program.path)?;
        match self.converse(&mut child, file, request, hear).await {
            Ok(heard) => Ok(Ok(heard)),
            Err(ChildError::Unreadable(reason)) => Ok(Err(reason)),
            Err(ChildError::Timeout) => {
                child.kill().await;
                Ok(Err(Unreadable::TooMuchTime))
            }
            Err(ChildError::Protocol(error)) => child.cause_of_death(&error).await.map(Err),
        }
    }

    async fn converse<T>(
        &self,
        child: &mut Child,
        file: &[u8],
        request: &Request,
        hear: impl AsyncFnOnce(&mut Child) -> Result<T, ChildError>,
    ) -> Result<T, ChildError> {
        let weighed = timeout(PATIENCE, weigh(child, file, request))
            .await
            .map_err(|_| ChildError::Timeout)?;
        let needs = match weighed? {
            MemoryEstimate::Needs(memory) => memory.min(MAX_MEMORY_BYTES),
            MemoryEstimate::Unreadable(reason) => return Err(ChildError::Unreadable(reason)),
        };
        let weight = needs.div_ceil(MEBIBYTE).clamp(1, BUDGET.into());
        let weight = u32::try_from(weight).expect("clamped");
        let _share = self
            .budget
            .acquire_many(weight)
            .await
            .expect("the semaphore is never closed");
        let answer = async {
            child.tell(&Grant { memory: needs }).await?;
            hear(child).await
        };
        timeout(PATIENCE, answer)
            .await
            .map_err(|_| ChildError::Timeout)?
    }
}

async fn weigh(
    child: &mut Child,
    file: &[u8],
    request: &Request,
) -> Result<MemoryEstimate, ProtocolError> {
    child.tell(request).await?;
    child.send(file).await?;
    child.hear().await
}

async fn stripped(child: &mut Child) -> Result<Stripped, ChildError> {
    let (is_changed, taken_at) = match child.hear().await? {
        Response::Stripped {
            is_changed,
            taken_at,
        } => (is_changed, taken_at),
        Response::Unreadable(reason) => return Err(ChildError::Unreadable(reason)),
        Response::Made { .. } => return Err(ProtocolError::UnexpectedResponse.into()),
    };
    let bytes = if is_changed {
        Some(child.receive(MAX_SOURCE_BYTES).await?)
    } else {
        None
    };
    Ok(Stripped { bytes, taken_at })
}

async fn images(child: &mut Child, recipes: &[Recipe]) -> Result<RenderedPicture, ChildError> {
    let (picture, sizes) = match child.hear().await? {
        Response::Made { picture, sizes } => (picture, sizes),
        Response::Unreadable(reason) => return Err(ChildError::Unreadable(reason)),
        Response::Stripped { .. } => return Err(ProtocolError::UnexpectedResponse.into()),
    };
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    if !(1..=MAX_PIXELS).contains(&pixels)
        || sizes.len() != recipes.len()
        || !sizes
            .iter()
            .zip(recipes)
            .all(|(size, recipe)| fits(*size, recipe))
    {
        return Err(ProtocolError::UnexpectedResponse.into());
    }
    let (mut images, mut room) = (Vec::with_capacity(sizes.len()), MAX_IMAGES_BYTES);
    for Size { width, height } in sizes {
        let bytes = child.receive(room).await?;
        room -= bytes.len();
        images.push(RenderedImage {
            width,
            height,
            bytes,
        });
    }
    Ok(RenderedPicture { picture, images })
}

fn fits(size: Size, recipe: &Recipe) -> bool {
    (1..=recipe.width).contains(&size.width) && (1..=recipe.height).contains(&size.height)
}

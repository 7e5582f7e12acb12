//! The image sandbox: a child process renders or strips each image. The memory of all children
//! together is bounded.

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

/// The largest image, in pixels.
const MAX_PIXELS: u64 = 100_000_000;

/// The memory of all children together, in MiB. The largest image takes all of it, and waits until
/// it runs alone.
const MEMORY_BUDGET_MIB: u32 = 1_024;

const MEBIBYTE: u64 = 1024 * 1024;

/// How long a child may take to read the header, and again for the rest. It is longer than the
/// limit of its processor time, so that only a stalled child reaches it.
const CHILD_TIMEOUT: Duration = Duration::from_mins(1);

/// The name of the child's program, in the folder of this one.
pub(crate) const PROGRAM: &str = "plinth-image-sandbox";

/// Starts children and exchanges messages with them. Clones share the memory budget.
#[derive(Debug, Clone)]
pub struct ImageSandbox {
    program: Arc<Program>,
    budget: Arc<Semaphore>,
}

#[derive(Debug)]
struct Program {
    path: PathBuf,
    /// The open file of the program, if the path names its descriptor.
    _file: Option<File>,
}

/// Why the program of the sandbox was not found.
#[derive(Debug, thiserror::Error)]
pub enum SandboxNotFound {
    #[error("the path of this program is unknown")]
    UnknownLocation(#[source] io::Error),
    #[error("{} cannot be read; expected it in the folder of plinth-worker", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// Why a child returned no result.
enum ChildError {
    /// The child cannot read the file.
    Unreadable(Unreadable),
    /// The child sent an unexpected message, or ended.
    Protocol(ProtocolError),
    Timeout,
}

impl From<ProtocolError> for ChildError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl ImageSandbox {
    /// Creates a sandbox whose children run this program.
    pub fn new(path: PathBuf) -> Self {
        Self::with_program(Program { path, _file: None })
    }

    /// Creates a sandbox whose children run the program that was installed together with this one,
    /// even if its file is replaced later.
    ///
    /// # Errors
    /// The program is missing.
    pub fn installed() -> Result<Self, SandboxNotFound> {
        let path = std::env::current_exe()
            .map_err(SandboxNotFound::UnknownLocation)?
            .with_file_name(PROGRAM);
        let file = File::open(&path).map_err(|source| SandboxNotFound::Unreadable {
            path: path.clone(),
            source,
        })?;
        let descriptor = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if descriptor.exists() {
            return Ok(Self::with_program(Program {
                path: descriptor,
                _file: Some(file),
            }));
        }
        Ok(Self::new(path))
    }

    fn with_program(program: Program) -> Self {
        let budget = usize::try_from(MEMORY_BUDGET_MIB).expect("32 bits fit");
        Self {
            program: Arc::new(program),
            budget: Arc::new(Semaphore::new(budget)),
        }
    }

    /// Renders an image by each recipe, in their order. Returns a reason for the owner of the file
    /// if the file is the cause of a failure.
    ///
    /// # Errors
    /// The file is not the cause; another attempt may succeed.
    pub async fn render(
        &self,
        file: &[u8],
        recipes: &[Recipe],
    ) -> Result<Result<RenderedPicture, Unreadable>, SandboxError> {
        let request = Request::Render {
            recipes: recipes.to_vec(),
            max_pixels: MAX_PIXELS,
        };
        self.run_child(file, &request, async |child| {
            read_images(child, recipes).await
        })
        .await
    }

    /// Removes the metadata of a file. Returns a reason for its owner if the file is the cause of a
    /// failure.
    ///
    /// # Errors
    /// The file is not the cause; another attempt may succeed.
    pub async fn strip(&self, file: &[u8]) -> Result<Result<Stripped, Unreadable>, SandboxError> {
        self.run_child(file, &Request::Strip, read_stripped).await
    }

    /// Sends the file to a new child, grants it memory, and reads the result with `read`.
    async fn run_child<T>(
        &self,
        file: &[u8],
        request: &Request,
        read: impl AsyncFnOnce(&mut Child) -> Result<T, ChildError>,
    ) -> Result<Result<T, Unreadable>, SandboxError> {
        let mut child = Child::start(&self.program.path)?;
        match self.exchange(&mut child, file, request, read).await {
            Ok(result) => Ok(Ok(result)),
            Err(ChildError::Unreadable(reason)) => Ok(Err(reason)),
            Err(ChildError::Timeout) => {
                child.kill().await;
                Ok(Err(Unreadable::TooMuchTime))
            }
            Err(ChildError::Protocol(error)) => child.classify_end(&error).await.map(Err),
        }
    }

    async fn exchange<T>(
        &self,
        child: &mut Child,
        file: &[u8],
        request: &Request,
        read: impl AsyncFnOnce(&mut Child) -> Result<T, ChildError>,
    ) -> Result<T, ChildError> {
        let weighed = timeout(CHILD_TIMEOUT, weigh(child, file, request))
            .await
            .map_err(|_| ChildError::Timeout)?;
        let memory = match weighed? {
            MemoryEstimate::Needs(memory) => memory.min(MAX_MEMORY_BYTES),
            MemoryEstimate::Unreadable(reason) => return Err(ChildError::Unreadable(reason)),
        };
        let mebibytes = memory.div_ceil(MEBIBYTE).clamp(1, MEMORY_BUDGET_MIB.into());
        let mebibytes = u32::try_from(mebibytes).expect("clamped to 32 bits");
        let _memory_permit = self
            .budget
            .acquire_many(mebibytes)
            .await
            .expect("the semaphore is never closed");
        let answer = async {
            child.send_message(&Grant { memory }).await?;
            read(child).await
        };
        timeout(CHILD_TIMEOUT, answer)
            .await
            .map_err(|_| ChildError::Timeout)?
    }
}

async fn weigh(
    child: &mut Child,
    file: &[u8],
    request: &Request,
) -> Result<MemoryEstimate, ProtocolError> {
    child.send_message(request).await?;
    child.send(file).await?;
    child.receive_message().await
}

async fn read_stripped(child: &mut Child) -> Result<Stripped, ChildError> {
    let (is_changed, taken_at) = match child.receive_message().await? {
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

async fn read_images(child: &mut Child, recipes: &[Recipe]) -> Result<RenderedPicture, ChildError> {
    let (picture, sizes) = match child.receive_message().await? {
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
            .all(|(size, recipe)| is_within(*size, recipe))
    {
        return Err(ProtocolError::UnexpectedResponse.into());
    }
    let (mut images, mut bytes_left) = (Vec::with_capacity(sizes.len()), MAX_IMAGES_BYTES);
    for Size { width, height } in sizes {
        let bytes = child.receive(bytes_left).await?;
        bytes_left -= bytes.len();
        images.push(RenderedImage {
            width,
            height,
            bytes,
        });
    }
    Ok(RenderedPicture { picture, images })
}

fn is_within(size: Size, recipe: &Recipe) -> bool {
    (1..=recipe.width).contains(&size.width) && (1..=recipe.height).contains(&size.height)
}

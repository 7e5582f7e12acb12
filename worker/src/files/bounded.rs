//! Renders off the async threads, and never more at once than memory is set aside for.

use std::sync::Arc;

use bytes::Bytes;
use plinth_domain::preset::Preset;
use tokio::sync::Semaphore;

use super::render::{Rendered, Unreadable, render, weigh};

/// Memory for pictures in the making, in MiB. The largest one takes all of it and waits until it is alone.
const BUDGET: u32 = 1_024;

const MEBIBYTE: u64 = 1024 * 1024;

/// Where pictures are made. Clones share the budget.
#[derive(Clone)]
pub struct Darkroom {
    budget: Arc<Semaphore>,
}

impl Default for Darkroom {
    fn default() -> Self {
        Self { budget: Arc::new(Semaphore::new(usize::try_from(BUDGET).expect("32 bits fit"))) }
    }
}

impl Darkroom {
    /// Makes the pictures of every preset once there is memory for it.
    ///
    /// # Errors
    /// Why none can be made of this source, for its owner; a decoder that panics counts as a damaged image.
    pub async fn develop(&self, source: Bytes) -> Result<Vec<Rendered>, Unreadable> {
        let weight = weigh(&source)?.div_ceil(MEBIBYTE).clamp(1, BUDGET.into());
        let weight = u32::try_from(weight).expect("clamped");
        let share =
            self.budget.clone().acquire_many_owned(weight).await.expect("the semaphore is never closed");
        // The share goes with the work: a job that is stopped does not stop a decoder.
        let work = tokio::task::spawn_blocking(move || {
            let rendered = render(&source, &Preset::ALL);
            drop(share);
            rendered
        });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a decoder gave up on an image");
            Err(Unreadable::Panicked)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, RgbImage};

    use super::*;

    #[tokio::test]
    async fn the_budget_is_given_back() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::new(1_000, 500).write_to(&mut png, ImageFormat::Png).expect("encodes");
        let png = Bytes::from(png.into_inner());
        let darkroom = Darkroom::default();
        for _ in 0..3 {
            let all = futures_util::future::join_all((0..4).map(|_| darkroom.develop(png.clone()))).await;
            assert!(
                all.iter()
                    .all(|made| made.as_ref().is_ok_and(|pictures| pictures.len() == Preset::ALL.len()))
            );
        }
        darkroom.develop(Bytes::from_static(b"no image")).await.expect_err("it is none");
        assert_eq!(darkroom.budget.available_permits(), usize::try_from(BUDGET).expect("fits"));
    }
}

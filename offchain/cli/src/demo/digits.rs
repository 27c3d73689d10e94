//! The demo's model and data: an int8 classifier of handwritten digits; see the fixture's ORIGIN.md.

use anyhow::{Context, ensure};
use nunet_compute::{Model, Tensor, npy};

const MODEL: &[u8] = include_bytes!("../../../compute/fixtures/digits/model.onnx");
const IMAGES: &[u8] = include_bytes!("../../../compute/fixtures/digits/images.npy");
const LABELS: &[u8] = include_bytes!("../../../compute/fixtures/digits/labels.npy");

/// The model with all 1,797 images and what they really show.
pub struct Digits {
    /// The ONNX file.
    pub model: &'static [u8],
    /// f32 [1797, 64], 0 to 16.
    pub images: Tensor,
    /// The true digits.
    labels: Vec<i64>,
}

impl Digits {
    /// Reads the fixture.
    pub fn load() -> anyhow::Result<Self> {
        let model = Model::load(MODEL).context("the demo's model")?;
        let input = model.inputs().next().context("the demo's model has no input")?.name.clone();
        let images = npy::read(&input, IMAGES).context("the demo's images")?;
        let labels = npy::read("label", LABELS).context("the demo's labels")?;
        let labels = labels.to_i64().context("the demo's labels are not i64")?;
        ensure!(images.shape().first() == Some(&labels.len()), "the demo has {} labels for its images", labels.len());
        Ok(Self { model: MODEL, images, labels })
    }

    /// How many images there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// The fraction of right labels among the images that training never saw: those whose index leaves 2 when divided
    /// by 3. `None` when the labels are not one i64 per image.
    pub fn held_out_accuracy(&self, found: &Tensor) -> Option<f64> {
        let found = found.to_i64().filter(|found| found.len() == self.labels.len())?;
        let held_out = found.iter().zip(&self.labels).enumerate().filter(|(index, _)| index % 3 == 2);
        let (right, all) = held_out
            .fold((0u32, 0u32), |(right, all), (_, (found, label))| (right + u32::from(found == label), all + 1));
        (all > 0).then(|| f64::from(right) / f64::from(all))
    }
}

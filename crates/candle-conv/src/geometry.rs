//! Sizes of a convolution of channels-last pictures.

use crate::{ConvConfig, Padding};
use candle_core::{Result, bail};

/// All sizes of one convolution without dilation and groups. Pictures are
/// `[batch, height, width, channels]`, weights `[outputs, inputs, rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub rows: usize,
    pub columns: usize,
    pub padding: Padding,
    pub stride: usize,
    pub out_height: usize,
    pub out_width: usize,
}

/// So many tiles make the transforms worth their while.
const WINOGRAD_TILES: usize = 24;

type Shape4 = (usize, usize, usize, usize);

/// Fails unless the settings and numbers of channels fit each other; `of_weight` is the weights'
/// number of channels on the side of the pictures.
fn check(
    name: &str,
    x: Shape4,
    weight: Shape4,
    of_weight: usize,
    bias: &[usize],
    outputs: usize,
    c: &ConvConfig,
) -> Result<()> {
    let ConvConfig { stride, dilation, groups, .. } = *c;
    let fits = groups > 0 && x.3 == of_weight * groups && outputs.is_multiple_of(groups);
    let channels = x.3 > 0 && outputs > 0;
    if !fits || !channels || stride == 0 || dilation == 0 || weight.2 == 0 || weight.3 == 0 {
        bail!(
            "{name}: pictures {x:?} (batch, height, width, channels), weights {weight:?}, stride \
             {stride}, dilation {dilation}, {groups} groups: expected as many input channels in \
             pictures and weights (in each group), and channels, kernel, stride, dilation and groups \
             of at least 1"
        );
    }
    if bias != [outputs] {
        bail!("{name}: bias {bias:?}; expected [{outputs}]");
    }
    Ok(())
}

impl Geometry {
    /// Of a convolution: pictures `x`, weights `[outputs, inputs, rows, columns]`. With dilation,
    /// `rows` and `columns` are those of the kernel's outline.
    pub fn convolution(x: Shape4, weight: Shape4, bias: &[usize], c: &ConvConfig) -> Result<Self> {
        let (batch, height, width, inputs) = x;
        let (outputs, in_group, rows, columns) = weight;
        check("conv2d", x, weight, in_group, bias, outputs, c)?;
        let (rows, columns) = (c.dilation * (rows - 1) + 1, c.dilation * (columns - 1) + 1);
        let side = |length: usize, kernel: usize| {
            let padded = length + c.padding.before + c.padding.after;
            if padded < kernel {
                bail!("conv2d: a kernel of {kernel} does not fit {padded} pixels (with padding)")
            }
            Ok((padded - kernel) / c.stride + 1)
        };
        let (out_height, out_width) = (side(height, rows)?, side(width, columns)?);
        let (padding, stride) = (c.padding, c.stride);
        Ok(Self {
            batch,
            height,
            width,
            inputs,
            outputs,
            rows,
            columns,
            padding,
            stride,
            out_height,
            out_width,
        })
    }

    /// Of the convolution whose transpose takes pictures `x`, by weights
    /// `[inputs, outputs, rows, columns]`: its own inputs and outputs are exchanged.
    pub fn transposed(x: Shape4, weight: Shape4, bias: &[usize], c: &ConvConfig) -> Result<Self> {
        let (batch, out_height, out_width, _) = x;
        let (outputs, inputs, rows, columns) = weight;
        check("conv_transpose2d", x, weight, outputs, bias, inputs, c)?;
        if c.groups != 1 {
            bail!("conv_transpose2d: {} groups; only 1 is supported", c.groups);
        }
        let (rows, columns) = (c.dilation * (rows - 1) + 1, c.dilation * (columns - 1) + 1);
        let cut = c.padding.before + c.padding.after;
        let side = |length: usize, kernel: usize| {
            if length == 0 {
                return Ok(0);
            }
            let whole = (length - 1) * c.stride + kernel;
            if whole < cut {
                bail!("conv_transpose2d: {cut} pixels of padding to cut off {whole}")
            }
            Ok(whole - cut)
        };
        let (height, width) = (side(out_height, rows)?, side(out_width, columns)?);
        let (padding, stride) = (c.padding, c.stride);
        Ok(Self {
            batch,
            height,
            width,
            inputs,
            outputs,
            rows,
            columns,
            padding,
            stride,
            out_height,
            out_width,
        })
    }

    /// Pixels of all results.
    pub fn out_pixels(&self) -> usize {
        self.batch * self.out_height * self.out_width
    }

    /// Numbers in one picture.
    pub fn picture_len(&self) -> usize {
        self.height * self.width * self.inputs
    }

    /// Numbers in the weights.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.inputs * self.rows * self.columns
    }

    /// Kernel places.
    pub fn taps(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether the Winograd transforms apply, which work on blocks of 16 channels, and are faster:
    /// with few tiles, transforming the kernels takes more than it saves.
    pub fn suits_winograd(&self) -> bool {
        let tiles = self.batch * self.out_height.div_ceil(4) * self.out_width.div_ceil(4);
        (self.rows, self.columns, self.stride) == (3, 3, 1)
            && self.inputs.is_multiple_of(16)
            && self.outputs.is_multiple_of(16)
            && self.inputs * self.outputs > 0
            && tiles >= WINOGRAD_TILES
    }

    /// Whether the weights are larger than the pictures: then they are better left in their order.
    pub fn has_few_pixels(&self) -> bool {
        (1..=self.outputs).contains(&self.out_pixels()) && self.inputs > 0
    }

    /// Whether [`reversed`](Self::reversed) describes the same convolution, and is faster.
    pub fn suits_reversal(&self) -> bool {
        let Padding { before, after } = self.padding;
        self.stride == 1
            && self.outputs < self.inputs
            && self.rows == self.columns
            && before.max(after) < self.rows
            && self.height * self.width > 0
    }

    /// The convolution whose transpose, with reversed kernels, is this one.
    pub fn reversed(&self) -> Self {
        let Padding { before, after } = self.padding;
        Self {
            height: self.out_height,
            width: self.out_width,
            inputs: self.outputs,
            outputs: self.inputs,
            padding: Padding { before: self.rows - 1 - before, after: self.rows - 1 - after },
            out_height: self.height,
            out_width: self.width,
            ..*self
        }
    }
}

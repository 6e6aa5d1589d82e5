//! Sizes of a convolution of channels-last pictures.

use candle_core::{Result, bail};

/// All sizes of one convolution. Pictures are `[batch, height, width, channels]`, weights
/// `[outputs, inputs, rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub rows: usize,
    pub columns: usize,
    pub padding: usize,
    pub stride: usize,
    pub out_height: usize,
    pub out_width: usize,
}

impl Geometry {
    pub fn new(
        x: (usize, usize, usize, usize),
        weight: (usize, usize, usize, usize),
        padding: usize,
        stride: usize,
    ) -> Result<Self> {
        let ((batch, height, width, inputs), (outputs, in_weight, rows, columns)) = (x, weight);
        if inputs != in_weight || stride == 0 {
            bail!(
                "conv2d: pictures {x:?} (batch, height, width, channels), weights {weight:?} \
                 (outputs, inputs, rows, columns), stride {stride}: expected as many input \
                 channels in both, and a stride of at least 1"
            );
        }
        let side = |length: usize, kernel: usize| {
            let padded = length + 2 * padding;
            if kernel == 0 || padded < kernel {
                bail!("conv2d: a kernel of {kernel} does not fit {length} + 2 * {padding} pixels")
            }
            Ok((padded - kernel) / stride + 1)
        };
        let (out_height, out_width) = (side(height, rows)?, side(width, columns)?);
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

    /// Numbers in all pictures.
    pub fn x_len(&self) -> usize {
        self.batch * self.height * self.width * self.inputs
    }

    /// Numbers in all results.
    pub fn y_len(&self) -> usize {
        self.out_pixels() * self.outputs
    }

    /// Numbers in the weights.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.inputs * self.rows * self.columns
    }

    /// Kernel places.
    pub fn taps(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether the Winograd transforms apply: they work on blocks of 16 channels.
    pub fn suits_winograd(&self) -> bool {
        (self.rows, self.columns, self.stride) == (3, 3, 1)
            && self.padding <= 1
            && self.inputs.is_multiple_of(16)
            && self.outputs.is_multiple_of(16)
            && self.batch * self.inputs * self.outputs > 0
    }

    /// Whether to scatter products of input pixels rather than to gather patches: it takes a buffer
    /// of `outputs` instead of `inputs` numbers a pixel and tap.
    pub fn suits_scatter(&self) -> bool {
        self.stride == 1 && self.outputs < self.inputs
    }
}

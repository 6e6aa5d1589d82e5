//! Numbers of pictures, and where gradients of them are collected.

use crate::buffer::Buffer;
use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor, bail};
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers in a buffer of ours or in a contiguous tensor on the CPU.
pub(crate) enum Values {
    Own(Buffer),
    Tensor(Tensor),
}

impl Values {
    pub fn read(&self) -> Result<Numbers<'_>> {
        match self {
            Self::Own(buffer) => Ok(Numbers::Slice(buffer)),
            Self::Tensor(tensor) => Numbers::of(tensor),
        }
    }

    pub fn into_tensor(self, shape: &Shape) -> Result<Tensor> {
        match self {
            Self::Own(buffer) => Tensor::from_vec(buffer.into_vec(), shape, &Device::Cpu),
            Self::Tensor(tensor) => tensor.reshape(shape),
        }
    }

    /// The numbers in a buffer of ours, copied if need be.
    fn into_buffer(self) -> Result<Buffer> {
        match self {
            Self::Own(buffer) => Ok(buffer),
            Self::Tensor(tensor) => {
                let numbers = Numbers::of(&tensor)?;
                let mut buffer = Buffer::take(numbers.len());
                buffer.copy_from_slice(&numbers);
                Ok(buffer)
            }
        }
    }
}

/// Borrowed numbers.
pub(crate) enum Numbers<'a> {
    Slice(&'a [f32]),
    Stored(Box<dyn Deref<Target = Storage> + 'a>, Range<usize>),
}

impl<'a> Numbers<'a> {
    /// Those of a contiguous f32 tensor on the CPU.
    pub fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cpu(CpuStorage::F32(_)) => {}
            _ => bail!("expected f32 numbers on the CPU, not {:?}", tensor.dtype()),
        }
        let range = contiguous(layout)?;
        Ok(Self::Stored(Box::new(storage), range))
    }
}

fn contiguous(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => bail!("expected contiguous numbers, not {layout:?}"),
    }
}

impl Deref for Numbers<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Slice(slice) => slice,
            Self::Stored(storage, range) => match &***storage {
                Storage::Cpu(CpuStorage::F32(all)) => &all[range.clone()],
                _ => &[], // not made: see `of`
            },
        }
    }
}

/// Where the gradients of some values are summed while the graph is walked backwards.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Values>>>);

impl Slot {
    pub fn take(&self) -> Option<Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, values: Values) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(values);
    }

    /// Lets `work` add to the sum, or write it (to `length` numbers of any value) if it is the
    /// first: then it is called with `false`.
    pub fn with<R>(&self, length: usize, work: impl FnOnce(&mut [f32], bool) -> R) -> Result<R> {
        let before = self.take();
        let add = before.is_some();
        let mut sum = match before {
            Some(values) => values.into_buffer()?,
            None => Buffer::take(length),
        };
        let result = work(&mut sum, add);
        self.put(Values::Own(sum));
        Ok(result)
    }

    /// Adds a gradient to the sum.
    pub fn add(&self, gradient: Values) -> Result<()> {
        let Some(before) = self.take() else {
            self.put(gradient);
            return Ok(());
        };
        let mut sum = before.into_buffer()?;
        sum.iter_mut().zip(gradient.read()?.iter()).for_each(|(sum, x)| *sum += x);
        self.put(Values::Own(sum));
        Ok(())
    }
}

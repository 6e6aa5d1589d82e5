//! A set of pictures in memory.

/// Height and width of a picture, in pixels.
pub const SIDE: usize = 32;
/// Colours of a picture: red, green, blue.
pub const CHANNELS: usize = 3;
/// Numbers in a picture: the red, then the green, then the blue plane, each row by row.
pub const SIZE: usize = CHANNELS * SIDE * SIDE;

/// 32x32 colour pictures of 8 bits a channel, with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pictures {
    pub(crate) pixels: Vec<[u8; SIZE]>,
    pub(crate) labels: Vec<u8>,
    pub(crate) source: String,
    pub(crate) complete: bool,
}

impl Pictures {
    /// All pictures.
    pub fn pixels(&self) -> &[[u8; SIZE]] {
        &self.pixels
    }

    /// The class of each picture, 0 to 9; all 0 for pictures without classes.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.pixels.len()
    }

    /// Whether there are none; no loader returns such a set.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Where the pictures come from, how many there are, and whether that is all of them: a text
    /// for people, to be written beside every result.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether this is the whole published set, not a subset and not made on the spot.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The first `count` pictures, or all if there are fewer.
    #[must_use]
    pub fn take(mut self, count: usize) -> Self {
        if count < self.len() {
            self.source = format!("the first {count} of {}", self.source);
            self.complete = false;
            self.pixels.truncate(count);
            self.labels.truncate(count);
        }
        self
    }
}

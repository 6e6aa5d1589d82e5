//! Square crops of micrographs, read when they are asked for.

use crate::Error;
use crate::lattice::lattice;
use crate::micrograph::{CHANGED, Micrograph, MicrographFile};
use crate::order::Order;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const REMEDY: &str =
    "give a smaller side with --side, or leave small pictures out with --skip-small";

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To train on.
    Train,
    /// To look at while training.
    Val,
    /// To report.
    Test,
}

impl Split {
    fn folder(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// A set of square crops. Only names and sizes are in memory.
#[derive(Clone, Debug)]
pub struct Crops {
    side: usize,
    from: From,
    /// The crops of this set among all that the files hold.
    first: usize,
    count: usize,
    source: String,
}

#[derive(Clone, Debug)]
enum From {
    Files(Arc<Vec<FileCrops>>),
    /// Made on the spot, from a seed.
    Made(u64),
}

/// A file, and the number of crops up to its end.
#[derive(Clone, Debug)]
struct FileCrops {
    path: PathBuf,
    /// Rows and columns of crops of each page.
    grids: Vec<(usize, usize)>,
    end: usize,
}

impl Crops {
    /// The crops of a split: of `train/`, `val/` or `test/` in a folder; or, where it has no such
    /// folders, of its TIFF and NPY files or of a single file: then the last fifth of the crops is
    /// for tests, and the others to train on (a single crop is for both). Pictures larger than
    /// `side` are cut into as many crops as fit side by side.
    ///
    /// # Errors
    /// There is no such folder or file in it, a file is no set of micrographs, or a picture is
    /// smaller than `side` and `skip_small` is not set. The message names the file.
    pub fn open(data: &Path, split: Split, side: usize, skip_small: bool) -> Result<Self, Error> {
        let splits = [Split::Train, Split::Val, Split::Test];
        let has_splits = splits.iter().any(|split| data.join(split.folder()).is_dir());
        let folder = if has_splits { data.join(split.folder()) } else { data.to_path_buf() };
        let mut files = Vec::new();
        let (mut end, mut skipped) = (0, 0);
        for path in names(&folder)? {
            let file = MicrographFile::open(&path)?;
            let mut grids = Vec::with_capacity(file.pages().len());
            for &(height, width) in file.pages() {
                if height < side || width < side {
                    if !skip_small {
                        let problem = format!(
                            "a picture of {height}x{width} pixels; expected at least {side}x{side}"
                        );
                        return Err(Error::content(&path, problem, REMEDY));
                    }
                    skipped += 1;
                }
                grids.push((height / side, width / side));
                end += (height / side) * (width / side);
            }
            files.push(FileCrops { path, grids, end });
        }
        if end == 0 {
            let problem =
                format!("no pictures of at least {side}x{side} pixels ({skipped} smaller ones)");
            return Err(Error::content(&folder, problem, REMEDY));
        }
        let held_out = if has_splits { 0 } else { (end / 5).max(usize::from(end > 1)) };
        let (first, count) = match split {
            _ if held_out == 0 => (0, end),
            Split::Train => (0, end - held_out),
            Split::Val | Split::Test => (end - held_out, held_out),
        };
        let mut source = format!(
            "{count} crops of {side}x{side} pixels from {} file(s) in {}",
            files.len(),
            folder.display()
        );
        if held_out > 0 {
            let which = if first == 0 { "the first" } else { "the last" };
            source.push_str(&format!(" ({which} of {end})"));
        }
        if skipped > 0 {
            source.push_str(&format!(", without {skipped} smaller picture(s)"));
        }
        Ok(Self { side, from: From::Files(Arc::new(files)), first, count, source })
    }

    /// Atomic lattices made on the spot; the same seed gives the same.
    pub fn lattices(count: usize, side: usize, seed: u64) -> Self {
        let source = format!(
            "{count} atomic lattices of {side}x{side} pixels made on the spot (seed {seed}), no real data"
        );
        Self { side, from: From::Made(seed), first: 0, count, source }
    }

    /// Number of crops.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none; no loader returns such a set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Pixels along each side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Where the crops come from: a text for people, to be written beside every result.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The first `count` crops, or all if there are fewer.
    #[must_use]
    pub fn take(mut self, count: usize) -> Self {
        if count < self.count {
            self.source = format!("the first {count} of {}", self.source);
            self.count = count;
        }
        self
    }

    /// Reads a crop, in which pixels that are not finite are replaced by the mean of the others, and
    /// the number of these.
    ///
    /// # Errors
    /// The file cannot be read any more, is damaged, or the crop has no finite pixel.
    ///
    /// # Panics
    /// If there is no such crop.
    pub fn read(&self, number: usize) -> Result<(Micrograph, usize), Error> {
        assert!(number < self.count, "crop {number} of {}", self.count);
        let number = self.first + number;
        let files = match &self.from {
            From::Made(seed) => return Ok((lattice(self.side, *seed, number as u64), 0)),
            From::Files(files) => files,
        };
        let at = files.partition_point(|file| file.end <= number);
        let file = &files[at];
        let mut place = number - if at == 0 { 0 } else { files[at - 1].end };
        let mut page = 0;
        while place >= file.grids[page].0 * file.grids[page].1 {
            place -= file.grids[page].0 * file.grids[page].1;
            page += 1;
        }
        let whole = MicrographFile::open(&file.path)?.read(page)?;
        let (row, column) = (place / file.grids[page].1, place % file.grids[page].1);
        let changed =
            whole.height() < (row + 1) * self.side || whole.width() < (column + 1) * self.side;
        if changed {
            let problem = format!("page {page} is smaller than it was when the run began");
            return Err(Error::content(&file.path, problem, CHANGED));
        }
        let mut crop = whole.crop(row * self.side, column * self.side, self.side);
        let Some(replaced) = crop.fill_non_finite() else {
            let problem = format!("crop {place} of page {page} has no finite pixel");
            return Err(Error::content(&file.path, problem, "start again without it"));
        };
        Ok((crop, replaced))
    }
}

/// The files of micrographs in a folder, by name; or a file itself.
fn names(data: &Path) -> Result<Vec<PathBuf>, Error> {
    if data.is_file() {
        return Ok(vec![data.to_path_buf()]);
    }
    let io = |source| Error::Io {
        path: data.to_path_buf(),
        source,
        remedy: "give a folder of TIFF or NPY files, or one file, with --data",
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(data).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if MicrographFile::has_known_name(&path) {
            names.push(path);
        }
    }
    if names.is_empty() {
        let problem = "no .tif, .tiff or .npy files here".to_owned();
        return Err(Error::content(data, problem, "give a folder of them with --data"));
    }
    names.sort();
    Ok(names)
}

/// Draws crops without replacement within each epoch, each turned or mirrored at random. The `k`-th
/// draw depends on the seed and `k` alone.
#[derive(Clone, Debug)]
pub struct CropStream {
    crops: Crops,
    order: Order,
    drawn: u64,
}

impl CropStream {
    /// A stream after `drawn` crops.
    pub fn new(crops: Crops, seed: u64, drawn: u64) -> Self {
        let order = Order::new(crops.len(), seed);
        Self { crops, order, drawn }
    }

    /// The next crop, the number of pixels that were replaced in it (see [`Crops::read`]), and random
    /// numbers that are its own.
    ///
    /// # Errors
    /// As [`Crops::read`].
    pub fn next_crop(&mut self) -> Result<(Micrograph, usize, ChaCha8Rng), Error> {
        let mut rng = self.order.generator(self.drawn);
        let (crop, replaced) = self.crops.read(self.order.place(self.drawn))?;
        self.drawn += 1;
        Ok((turned(&crop, &mut rng), replaced, rng))
    }
}

/// One of the eight ways in which a square can be turned and mirrored.
fn turned(square: &Micrograph, rng: &mut impl Rng) -> Micrograph {
    let [transpose, flip_rows, flip_columns] = [(); 3].map(|()| rng.random::<bool>());
    let side = square.height();
    let pixels = (0..side * side)
        .map(|i| {
            let (mut row, mut column) = (i / side, i % side);
            if flip_rows {
                row = side - 1 - row;
            }
            if flip_columns {
                column = side - 1 - column;
            }
            if transpose {
                (row, column) = (column, row);
            }
            square.pixels()[row * side + column]
        })
        .collect();
    Micrograph::new(side, side, pixels)
}

//! Micrographs and masks as files.

use crate::files::write_whole;
use anyhow::{Context, Result, bail, ensure};
use datasets::micrograph::{Micrograph, MicrographFile};
use std::io::Cursor;
use std::path::Path;

/// Writes a micrograph by its file's name: `.tif` and `.tiff` as 32-bit floats, `.npy` the same,
/// `.png` in 8 bits, `range` from black to white.
///
/// # Errors
/// The name ends otherwise, or the file cannot be written.
pub fn write(path: &Path, picture: &Micrograph, range: (f32, f32)) -> Result<()> {
    let named = || format!("{}: cannot be encoded", path.display());
    let bytes = match extension(path).as_str() {
        "tif" | "tiff" => tiff_bytes(picture).with_context(named)?,
        "npy" => npy_bytes(picture),
        "png" => png_bytes(picture, range).with_context(named)?,
        other => bail!(
            "{}: `.{other}` is not a kind of file this writes; expected .png, .tif or .npy",
            path.display()
        ),
    };
    write_whole(path, &bytes)
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn tiff_bytes(picture: &Micrograph) -> Result<Vec<u8>> {
    use tiff::encoder::{TiffEncoder, colortype::Gray32Float};
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (picture.width().try_into()?, picture.height().try_into()?);
    TiffEncoder::new(&mut bytes)?.write_image::<Gray32Float>(width, height, picture.pixels())?;
    Ok(bytes.into_inner())
}

/// Version 1.0: magic, length of the header, header, numbers.
fn npy_bytes(picture: &Micrograph) -> Vec<u8> {
    let shape = format!("({}, {})", picture.height(), picture.width());
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The numbers begin at a multiple of 64 bytes.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{text:<0$}\n", length - 1).as_bytes());
    bytes.extend(picture.pixels().iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

fn png_bytes(picture: &Micrograph, (black, white): (f32, f32)) -> Result<Vec<u8>> {
    let grey = |x: &f32| (255.0 * (x - black) / (white - black)).round().clamp(0.0, 255.0) as u8;
    let pixels: Vec<u8> = picture.pixels().iter().map(grey).collect();
    let mut bytes = Vec::new();
    let (width, height) = (picture.width().try_into()?, picture.height().try_into()?);
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Reads a mask for pictures of a size, in sixteenths: a grey PNG file, or a TIFF or NPY file whose
/// numbers are 0 to 1; if any is above 1, then 0 to 255.
///
/// # Errors
/// It cannot be read, has another size, or holds other numbers.
pub fn read_mask(path: &Path, (height, width): (usize, usize)) -> Result<Vec<u8>> {
    let mask = match extension(path).as_str() {
        "png" => read_png(path, (height, width))
            .with_context(|| format!("{}: no usable grey PNG mask", path.display()))?,
        _ => MicrographFile::open(path)?.read(0)?,
    };
    ensure!(
        (mask.height(), mask.width()) == (height, width),
        "{}: a mask of {}x{} pixels for a scan of {height}x{width}; give the scan's own mask",
        path.display(),
        mask.height(),
        mask.width()
    );
    let above_one = mask.pixels().iter().any(|&x| x > 1.0);
    let one = if above_one { 255.0 } else { 1.0 };
    if let Some(wrong) = mask.pixels().iter().find(|x| !(0.0..=one).contains(*x)) {
        bail!(
            "{}: a mask with the number {wrong}; expected 0 to 1, or 0 to 255: scale it",
            path.display()
        );
    }
    Ok(mask.pixels().iter().map(|x| (16.0 * x / one).round() as u8).collect())
}

fn read_png(path: &Path, (height, width): (usize, usize)) -> Result<Micrograph> {
    let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path)?));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    let (found_height, found_width) = (reader.info().height, reader.info().width);
    ensure!(
        (found_height as usize, found_width as usize) == (height, width),
        "it has {found_height}x{found_width} pixels, the scan {height}x{width}"
    );
    let size = reader.output_buffer_size().context("a picture too large")?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes)?;
    ensure!(info.color_type == png::ColorType::Grayscale, "it has {:?} pixels", info.color_type);
    let pixels = bytes[..info.buffer_size()].iter().map(|&byte| f32::from(byte) / 255.0).collect();
    Ok(Micrograph::new(info.height as usize, info.width as usize, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_comes_back_from_every_kind_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let mask = datasets::spiral_mask(32, 0.05);
        let pixels = mask.iter().map(|&mask| datasets::weight(mask)).collect();
        let picture = Micrograph::new(32, 32, pixels);
        for name in ["mask.png", "mask.tif", "mask.npy"] {
            let path = folder.path().join(name);
            write(&path, &picture, (0.0, 1.0)).unwrap();
            assert!(read_mask(&path, (32, 32)).unwrap() == mask, "{name}");
            let error = format!("{:#}", read_mask(&path, (32, 64)).unwrap_err());
            assert!(error.contains("32x64"), "{error}");
        }
        let error = write(&folder.path().join("mask.gif"), &picture, (0.0, 1.0));
        assert!(error.unwrap_err().to_string().contains(".png"));
    }
}

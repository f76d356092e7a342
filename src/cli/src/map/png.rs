//! Pixels.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::failure::Failure;
use crate::map::picture::{Area, Canvas, INK, Style};
use crate::map::scheme::Colour;

/// A picture in memory, three bytes a pixel.
#[derive(Debug)]
pub(super) struct Pixels {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Pixels {
    pub(super) fn new((width, height): (u32, u32)) -> Pixels {
        Pixels { width, height, bytes: vec![0xFF; width as usize * height as usize * 3] }
    }

    /// The file's bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Failure> {
        let mut file = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(::png::ColorType::Rgb);
        encoder.set_depth(::png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.bytes));
        written.map_err(|error| Failure::Message(format!("the picture cannot be written: {error}")))?;
        Ok(file)
    }

    fn pixel(&mut self, x: u32, y: u32) -> Option<&mut [u8]> {
        if x >= self.width {
            return None;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        self.bytes.get_mut(at..at + 3)
    }

    /// Mixes ink into a pixel: all of it at 255.
    fn ink(&mut self, x: u32, y: u32, much: u8) {
        let Some(pixel) = self.pixel(x, y) else { return };
        for (byte, ink) in pixel.iter_mut().zip(INK) {
            let (old, new, much) = (u32::from(*byte), u32::from(ink), u32::from(much));
            *byte = u8::try_from((old * (255 - much) + new * much) / 255).unwrap_or(u8::MAX);
        }
    }
}

impl Canvas for Pixels {
    fn rectangle(&mut self, area: Area, colour: Colour) {
        for y in area.y..area.y + area.height {
            for x in area.x..area.x + area.width {
                if let Some(pixel) = self.pixel(x, y) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }

    fn layer(&mut self) {}

    fn text(&mut self, x: u32, y: u32, text: &str, style: Style) {
        let weight = if style == Style::Bold { FontWeight::Bold } else { FontWeight::Regular };
        let size = RasterHeight::Size16;
        let advance = u32::try_from(get_raster_width(weight, size)).unwrap_or(0);
        let width = u32::try_from(text.chars().count()).unwrap_or(0).saturating_mul(advance);
        let mut left = if style == Style::Right { x.saturating_sub(width) } else { x };
        for letter in text.chars() {
            // The font has the letters of ASCII.
            let raster = get_raster(letter, weight, size).or_else(|| get_raster('?', weight, size));
            for (row, line) in raster.iter().flat_map(|raster| raster.rows()).zip(y..) {
                for (much, column) in row.iter().zip(left..) {
                    self.ink(column, line, *much);
                }
            }
            left = left.saturating_add(advance);
        }
    }
}

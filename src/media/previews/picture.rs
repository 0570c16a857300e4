//! The picture of a page, judged by its bytes: what other servers say about it is not believed.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};

/// The largest side of a picture that is worth keeping.
const LARGEST_SIDE: u32 = 20_000;

/// A picture whose header could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub content_type: &'static str,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

impl Picture {
    /// Reads the header of a PNG, JPEG, GIF or WebP; nothing else is a picture here. It is not decoded.
    pub fn recognise(bytes: Vec<u8>) -> Option<Self> {
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().ok()?;
        let format = reader.format()?;
        if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP) {
            return None;
        }
        let (width, height) = reader.into_dimensions().ok()?;
        let sane = 1..=LARGEST_SIDE;
        let content_type = format.to_mime_type();
        (sane.contains(&width) && sane.contains(&height)).then_some(Self { bytes, content_type, width, height })
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::new(7, 5).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        for (format, kind) in [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg")] {
            let picture = Picture::recognise(encoded(format)).unwrap();
            assert_eq!((picture.content_type, picture.width, picture.height), (kind, 7, 5));
        }
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"7\" height=\"5\"><script/></svg>";
        for no_picture in [&b""[..], b"hello", svg, &encoded(ImageFormat::Png)[..12]] {
            assert_eq!(Picture::recognise(no_picture.to_vec()), None);
        }
    }
}

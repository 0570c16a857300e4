//! Making a smaller picture of a picture that anybody may have made up: everything is bounded before it is decoded.

use std::io::Cursor;

use image::{
    AnimationDecoder, DynamicImage, Frame, Frames, ImageDecoder, ImageEncoder as _, ImageError, ImageFormat,
    ImageReader, Limits,
    codecs::{
        gif::{GifDecoder, GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::{PngDecoder, PngEncoder},
        webp::WebPDecoder,
    },
    metadata::Orientation,
};

use super::size::{Cut, Size};
use crate::error::{Error, Kind, Result};

/// The most bytes that a pixel takes while it is decoded.
const BYTES_PER_PIXEL: u64 = 8;
/// What a decoder may need besides.
const SPARE_MEMORY: u64 = 32 << 20;
/// The most frames of a moving thumbnail.
const MAXIMUM_FRAMES: u64 = 500;
/// How many of the largest pictures allowed the frames of a moving one may have together.
const PICTURES_PER_ANIMATION: u64 = 4;
/// A number from 1 to 100.
const JPEG_QUALITY: u8 = 80;
/// A number from 1, the best, to 30, the fastest.
const GIF_SPEED: i32 = 30;
/// The longest colour profile that is handed on, in bytes.
const MAXIMUM_PROFILE: usize = 64 << 10;

/// What became of a picture.
#[derive(Debug, PartialEq)]
pub enum Rendered {
    /// A thumbnail.
    Thumbnail {
        /// Its encoding.
        bytes: Vec<u8>,
        /// Its media type.
        content_type: &'static str,
    },
    /// The picture itself will do.
    Original {
        /// Its true media type.
        content_type: &'static str,
    },
    /// It should move and cannot: the one that does not move will do.
    Still,
}

/// Makes the thumbnail of this `size` of a picture that has at most `max_pixels`.
///
/// # Errors
///
/// `TooLarge`; `Unknown` if it is no picture, or a broken one.
pub fn render(picture: &[u8], size: Size, max_pixels: u64) -> Result<Rendered> {
    let format = image::guess_format(picture).map_err(|_| unknown())?;
    let content_type = match format {
        ImageFormat::Png => "image/png",
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Gif => "image/gif",
        ImageFormat::WebP => "image/webp",
        _ => return Err(unknown()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(picture), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(SPARE_MEMORY));
    reader.limits(limits.clone());
    let decoder = reader.into_decoder().map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    check_pixels(width, height, max_pixels)?;

    let moves = moves(picture, format, limits.clone())?;
    if size.animated {
        let Some(frames) = moves.then(|| frames(picture, format, limits)).transpose()?.flatten() else {
            return Ok(Rendered::Still);
        };
        let Some(cut) = size.of(width, height) else { return Ok(Rendered::Original { content_type }) };
        let most_frames = max_pixels * PICTURES_PER_ANIMATION / (u64::from(width) * u64::from(height)).max(1);
        let bytes = animation(frames, cut, most_frames.min(MAXIMUM_FRAMES))?;
        return Ok(Rendered::Thumbnail { bytes, content_type: "image/gif" });
    }
    still(decoder, format, size, moves)
}

/// Makes a thumbnail that does not move.
fn still(mut decoder: impl ImageDecoder, format: ImageFormat, size: Size, moves: bool) -> Result<Rendered> {
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (mut width, mut height) = decoder.dimensions();
    if is_turned(orientation) {
        (width, height) = (height, width);
    }
    let cut = size.of(width, height);
    if cut.is_none() && !moves {
        let content_type = format.to_mime_type();
        return Ok(Rendered::Original { content_type });
    }
    let profile = decoder.icc_profile().ok().flatten().filter(|profile| profile.len() <= MAXIMUM_PROFILE);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    if let Some(cut) = cut {
        // Turning is cheaper when the picture is small already.
        let turned = |(a, b)| if is_turned(orientation) { (b, a) } else { (a, b) };
        picture = shrink(&picture, Cut { from: turned(cut.from), to: turned(cut.to) });
    }
    picture.apply_orientation(orientation);
    let has_alpha = picture.color().has_alpha();
    match format {
        ImageFormat::Jpeg => jpeg(&picture, profile),
        ImageFormat::WebP if !has_alpha => jpeg(&picture, profile),
        _ => png(&picture, profile),
    }
}

fn jpeg(picture: &DynamicImage, profile: Option<Vec<u8>>) -> Result<Rendered> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    if let Some(profile) = profile {
        // An encoder that cannot say it leaves it out.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder.encode_image(&picture.to_rgb8()).map_err(Error::internal)?;
    Ok(Rendered::Thumbnail { bytes, content_type: "image/jpeg" })
}

fn png(picture: &DynamicImage, profile: Option<Vec<u8>>) -> Result<Rendered> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(profile) = profile {
        let _ = encoder.set_icc_profile(profile);
    }
    let eight_bits = match picture.color().has_alpha() {
        true => DynamicImage::from(picture.to_rgba8()),
        false => DynamicImage::from(picture.to_rgb8()),
    };
    eight_bits.write_with_encoder(encoder).map_err(Error::internal)?;
    Ok(Rendered::Thumbnail { bytes, content_type: "image/png" })
}

/// Makes a thumbnail that moves, frame by frame.
fn animation(frames: Frames<'_>, cut: Cut, most_frames: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, GIF_SPEED);
    encoder.set_repeat(Repeat::Infinite).map_err(Error::internal)?;
    for (number, frame) in (1u64..).zip(frames) {
        if number > most_frames {
            return Err(too_large());
        }
        let frame = frame.map_err(refusal)?;
        let delay = frame.delay();
        let picture = shrink(&DynamicImage::from(frame.into_buffer()), cut);
        let frame = Frame::from_parts(picture.into_rgba8(), 0, 0, delay);
        encoder.encode_frame(frame).map_err(Error::internal)?;
    }
    drop(encoder);
    Ok(bytes)
}

/// Whether a picture has more than one frame.
fn moves(picture: &[u8], format: ImageFormat, limits: Limits) -> Result<bool> {
    match format {
        ImageFormat::Gif => {
            let frames = frames(picture, format, limits)?.into_iter().flatten();
            Ok(frames.take(2).filter(|frame| frame.is_ok()).count() == 2)
        }
        _ => Ok(frames(picture, format, limits)?.is_some()),
    }
}

/// The frames of a picture in a format that can have several.
fn frames(picture: &[u8], format: ImageFormat, limits: Limits) -> Result<Option<Frames<'_>>> {
    let picture = Cursor::new(picture);
    match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(picture).map_err(refusal)?;
            decoder.set_limits(limits).map_err(refusal)?;
            Ok(Some(decoder.into_frames()))
        }
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(picture, limits).map_err(refusal)?;
            match decoder.is_apng().map_err(refusal)? {
                true => Ok(Some(decoder.apng().map_err(refusal)?.into_frames())),
                false => Ok(None),
            }
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(picture).map_err(refusal)?;
            decoder.set_limits(limits).map_err(refusal)?;
            Ok(decoder.has_animation().then(|| decoder.into_frames()))
        }
        _ => Ok(None),
    }
}

/// The middle of a picture in another size.
fn shrink(picture: &DynamicImage, cut: Cut) -> DynamicImage {
    let (width, height) = cut.from;
    let (left, top) = ((picture.width() - width) / 2, (picture.height() - height) / 2);
    if cut.from == cut.to {
        return picture.crop_imm(left, top, width, height);
    }
    let (to_width, to_height) = cut.to;
    if cut.from == (picture.width(), picture.height()) {
        return picture.thumbnail_exact(to_width, to_height);
    }
    picture.crop_imm(left, top, width, height).thumbnail_exact(to_width, to_height)
}

fn is_turned(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn check_pixels(width: u32, height: u32, max_pixels: u64) -> Result<()> {
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(too_large());
    }
    if width == 0 || height == 0 { Err(unknown()) } else { Ok(()) }
}

fn refusal(cause: ImageError) -> Error {
    match cause {
        ImageError::Limits(_) => too_large(),
        _ => unknown(),
    }
}

/// What is no picture that this server knows.
pub fn unknown() -> Error {
    Kind::Unknown.with("Cannot generate thumbnails for the requested content")
}

/// What is a picture and too large.
pub fn too_large() -> Error {
    Kind::TooLarge.with("Content is too large to thumbnail")
}

#[cfg(test)]
mod tests;

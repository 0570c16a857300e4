//! Pictures of all kinds, and what is none.

use image::{ImageBuffer, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::media::thumbnails::size::{Fit, Wanted};

const MAX_PIXELS: u64 = 1_000_000;

fn size(width: u32, height: u32, fit: Fit, animated: bool) -> Size {
    Size::for_wanted(Wanted { width, height, fit, animated })
}

fn small(fit: Fit) -> Size {
    size(96, 96, fit, false)
}

fn rendered(picture: &[u8], size: Size) -> Result<Rendered> {
    render(picture, size, MAX_PIXELS)
}

/// The thumbnail of a picture, its media type, and itself decoded.
fn thumbnail(picture: &[u8], size: Size) -> (Vec<u8>, &'static str, DynamicImage) {
    match rendered(picture, size).unwrap() {
        Rendered::Thumbnail { bytes, content_type } => {
            let decoded = image::load_from_memory(&bytes).unwrap();
            (bytes, content_type, decoded)
        }
        other => panic!("{other:?}"),
    }
}

/// The left half is red and the right half blue.
fn two_halves(width: u32, height: u32) -> RgbImage {
    ImageBuffer::from_fn(width, height, |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gif(frames: u8, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for number in 0..frames {
        let color = Rgba([number.wrapping_mul(80), 0, 255 - number, 255]);
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(width, height, color))).unwrap();
    }
    drop(encoder);
    bytes
}

/// A GIF whose header promises a large picture, with as many tiny frames as asked for.
fn bomb(side: u16, frames: usize) -> Vec<u8> {
    let side = side.to_le_bytes();
    let mut bytes = [&b"GIF89a"[..], &side, &side, &[0x80, 0, 0], &[0; 6]].concat();
    for _ in 0..frames {
        bytes.extend([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]);
    }
    bytes.push(0x3b);
    bytes
}

/// A PNG whose header promises any size, with nothing behind it.
fn promising_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encode(two_halves(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = bytes[12..29].iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    });
    bytes[29..33].copy_from_slice(&(!sum).to_be_bytes());
    bytes
}

#[test]
fn every_kind_of_picture_becomes_smaller() {
    let picture = two_halves(400, 200);
    let see_through = RgbaImage::from_pixel(400, 200, Rgba([1, 2, 3, 100]));
    let cases = [
        (encode(picture.clone(), ImageFormat::Png), "image/png"),
        (encode(picture.clone(), ImageFormat::Jpeg), "image/jpeg"),
        (encode(picture.clone(), ImageFormat::Gif), "image/png"),
        (encode(picture, ImageFormat::WebP), "image/jpeg"),
        (encode(see_through, ImageFormat::WebP), "image/png"),
    ];
    for (picture, expected) in cases {
        let (_, content_type, scaled) = thumbnail(&picture, small(Fit::Scale));
        assert_eq!((content_type, scaled.width(), scaled.height()), (expected, 320, 160));
        let (_, _, cropped) = thumbnail(&picture, small(Fit::Crop));
        assert_eq!((cropped.width(), cropped.height()), (96, 96));
    }
}

#[test]
fn the_middle_is_shown_of_a_picture_that_is_cut() {
    // Red, then a blue square in the middle, then red.
    let striped =
        RgbImage::from_fn(600, 200, |x, _| if (200..400).contains(&x) { Rgb([0, 0, 255]) } else { Rgb([255, 0, 0]) });
    let (_, _, cropped) = thumbnail(&encode(striped, ImageFormat::Png), small(Fit::Crop));
    assert!(cropped.to_rgb8().pixels().all(|pixel| *pixel == Rgb([0, 0, 255])));
}

#[test]
fn a_small_picture_serves_as_its_own_thumbnail() {
    for (format, content_type) in
        [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::Gif, "image/gif")]
    {
        let picture = encode(two_halves(20, 10), format);
        assert_eq!(rendered(&picture, small(Fit::Scale)).unwrap(), Rendered::Original { content_type });
        assert_eq!(rendered(&picture, small(Fit::Crop)).unwrap(), Rendered::Original { content_type });
    }
    // So does a large one if something still larger is asked for.
    let picture = encode(two_halves(900, 700), ImageFormat::Png);
    let huge = rendered(&picture, size(5_000, 5_000, Fit::Scale, false)).unwrap();
    assert_eq!(huge, Rendered::Original { content_type: "image/png" });
}

#[test]
fn a_photo_is_turned_as_its_camera_was() {
    // The camera was turned so that the left edge of what it saw is the top of what it stored.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut photo = encode(two_halves(400, 200), ImageFormat::Jpeg);
    let length = (exif.len() + 2) as u16;
    let segment = [&[0xff, 0xe1], &length.to_be_bytes()[..], exif].concat();
    photo.splice(2..2, segment);
    let (_, _, upright) = thumbnail(&photo, small(Fit::Scale));
    assert_eq!((upright.width(), upright.height()), (120, 240));
    let (top, bottom) = (*upright.to_rgb8().get_pixel(60, 20), *upright.to_rgb8().get_pixel(60, 220));
    assert!(top.0[0] > 200 && bottom.0[2] > 200, "{top:?} {bottom:?}");
    let (_, _, cropped) = thumbnail(&photo, small(Fit::Crop));
    assert_eq!((cropped.width(), cropped.height()), (96, 96));
}

#[test]
fn a_moving_picture_moves_only_when_asked_to() {
    let picture = gif(3, 400, 300);
    let (bytes, content_type, _) = thumbnail(&picture, size(96, 96, Fit::Crop, true));
    let frames = frames(&bytes, ImageFormat::Gif, Limits::no_limits()).unwrap().unwrap().collect_frames().unwrap();
    assert_eq!((content_type, frames.len()), ("image/gif", 3));
    assert_eq!((frames[0].buffer().width(), frames[0].buffer().height()), (96, 96));
    let (_, content_type, _) = thumbnail(&picture, small(Fit::Crop));
    assert_eq!(content_type, "image/png");
    // A small one moves by itself, and is stopped where it must not.
    let little = gif(3, 20, 20);
    assert_eq!(
        rendered(&little, size(96, 96, Fit::Crop, true)).unwrap(),
        Rendered::Original { content_type: "image/gif" }
    );
    let (_, content_type, still) = thumbnail(&little, small(Fit::Crop));
    assert_eq!((content_type, still.width(), still.height()), ("image/png", 20, 20));
}

#[test]
fn what_cannot_move_stays_still() {
    for picture in [gif(1, 400, 300), encode(two_halves(400, 300), ImageFormat::Png)] {
        assert_eq!(rendered(&picture, size(96, 96, Fit::Crop, true)).unwrap(), Rendered::Still);
    }
    // A photo can never move.
    let photo = encode(two_halves(400, 300), ImageFormat::Jpeg);
    assert_eq!(rendered(&photo, size(96, 96, Fit::Crop, true)).unwrap(), Rendered::Still);
}

#[test]
fn a_picture_that_promises_too_much_is_not_even_begun() {
    let mut huge_photo = encode(two_halves(8, 8), ImageFormat::Jpeg);
    let frame_header = huge_photo.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    huge_photo[frame_header + 5..frame_header + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    let pictures =
        [promising_png(60_000, 60_000), promising_png(u32::MAX >> 1, u32::MAX >> 1), bomb(60_000, 1), huge_photo];
    for picture in pictures {
        for animated in [false, true] {
            let refused = rendered(&picture, size(96, 96, Fit::Crop, animated)).unwrap_err();
            assert_eq!(refused.kind, Kind::TooLarge, "{refused}");
        }
    }
}

#[test]
fn frames_without_end_are_not_followed() {
    // Each is as large as a picture may be; the budget is that of four pictures.
    let refused = rendered(&bomb(1_000, 100_000), size(96, 96, Fit::Crop, true)).unwrap_err();
    assert_eq!(refused.kind, Kind::TooLarge);
    assert_eq!(rendered(&bomb(200, 501), size(96, 96, Fit::Crop, true)).unwrap_err().kind, Kind::TooLarge);
    // The first frame can be shown all the same.
    thumbnail(&bomb(1_000, 100_000), small(Fit::Crop));
}

#[test]
fn what_is_no_picture_or_a_broken_one_is_refused() {
    let whole = encode(two_halves(400, 300), ImageFormat::Png);
    let photo = encode(two_halves(400, 300), ImageFormat::Jpeg);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"400\" height=\"400\"/>";
    let broken = [&whole[..40], &whole[..whole.len() / 2], &photo[..20], &gif(2, 400, 300)[..15]];
    let others = [
        &b""[..],
        b"hello",
        svg,
        b"BM\0\0\0\0\0\0\0\0",
        b"%PDF-1.4",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
    ];
    for picture in broken.into_iter().chain(others) {
        let refused = rendered(picture, small(Fit::Crop)).unwrap_err();
        assert_eq!(refused.kind, Kind::Unknown, "{:?}", &picture[..picture.len().min(12)]);
        // Of what should move, it may show only later that it cannot even stand still.
        let moving = rendered(picture, size(96, 96, Fit::Crop, true));
        assert!(moving.as_ref().is_ok_and(|moving| *moving == Rendered::Still) || moving.is_err(), "{moving:?}");
    }
}

//! Which thumbnails there are. Any size can be asked for, and few are made, so that their number is bounded.

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The least width, in pixels.
    pub width: u32,
    /// The least height, in pixels.
    pub height: u32,
    /// Whether the picture is cut to fit.
    pub fit: Fit,
    /// Whether it should move, if the picture does.
    pub animated: bool,
}

/// How a picture is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// It keeps its shape and fits into the size.
    Scale,
    /// Its middle fills the size.
    Crop,
}

/// A thumbnail that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// The size, in pixels; `None` is that of the picture itself.
    pub within: Option<(u32, u32)>,
    /// How the picture is made to fit.
    pub fit: Fit,
    /// Whether it moves if the picture does.
    pub animated: bool,
}

/// What the specification names under "Thumbnails".
const SCALED: &[(u32, u32)] = &[(320, 240), (640, 480), (800, 600)];
/// Likewise, and two larger ones, because pictures of people are shown larger nowadays.
const CROPPED: &[(u32, u32)] = &[(32, 32), (96, 96), (320, 320), (640, 640)];

impl Size {
    /// The smallest that is no smaller than what is wanted in either direction.
    pub fn for_wanted(wanted: Wanted) -> Self {
        let sizes = match wanted.fit {
            Fit::Scale => SCALED,
            Fit::Crop => CROPPED,
        };
        let large_enough = |(width, height): &&(u32, u32)| wanted.width <= *width && wanted.height <= *height;
        match sizes.iter().find(large_enough) {
            Some(size) => Self { within: Some(*size), fit: wanted.fit, animated: wanted.animated },
            // The size of the picture itself is the same whatever the fit.
            None => Self { within: None, fit: Fit::Scale, animated: wanted.animated },
        }
    }

    /// The same that does not move.
    pub fn still(self) -> Self {
        Self { animated: false, ..self }
    }

    /// What it is called in the tables; it cannot be called otherwise later.
    pub fn label(self) -> String {
        let fit = match self.fit {
            Fit::Scale => "scale",
            Fit::Crop => "crop",
        };
        let size = self.within.map_or_else(|| "full".to_owned(), |(width, height)| format!("{fit}-{width}x{height}"));
        if self.animated { format!("{size}-animated") } else { size }
    }

    /// What is shown of a picture of `width` times `height`, and how large; `None` is all of it, as large as it is.
    pub fn of(self, width: u32, height: u32) -> Option<Cut> {
        let (most_wide, most_high) = self.within?;
        match self.fit {
            Fit::Scale => {
                if width <= most_wide && height <= most_high {
                    return None;
                }
                let shrink = |side: u32, by: u32, to: u32| {
                    let shrunk = u64::from(side) * u64::from(to) / u64::from(by.max(1));
                    u32::try_from(shrunk).unwrap_or(u32::MAX).max(1)
                };
                let is_wide = u64::from(width) * u64::from(most_high) > u64::from(height) * u64::from(most_wide);
                let to = match is_wide {
                    true => (most_wide, shrink(height, width, most_wide)),
                    false => (shrink(width, height, most_high), most_high),
                };
                Some(Cut { from: (width, height), to })
            }
            // The sizes are squares, so that the largest square of the picture is what is shown.
            Fit::Crop => {
                let side = width.min(height);
                if side <= most_wide {
                    let from = (width.min(most_wide), height.min(most_high));
                    return (from != (width, height)).then_some(Cut { from, to: from });
                }
                Some(Cut { from: (side, side), to: (most_wide, most_high) })
            }
        }
    }
}

/// The middle of a picture, and how large it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The width and height of the part that is shown.
    pub from: (u32, u32),
    /// The width and height of the thumbnail, which is never larger.
    pub to: (u32, u32),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(width: u32, height: u32, fit: Fit) -> Wanted {
        Wanted { width, height, fit, animated: false }
    }

    #[test]
    fn the_smallest_that_is_large_enough_is_made() {
        let cases = [
            (32, 32, Fit::Crop, "crop-32x32"),
            (33, 20, Fit::Crop, "crop-96x96"),
            (96, 97, Fit::Crop, "crop-320x320"),
            (641, 1, Fit::Crop, "full"),
            (1, 1, Fit::Scale, "scale-320x240"),
            (320, 241, Fit::Scale, "scale-640x480"),
            (800, 600, Fit::Scale, "scale-800x600"),
            (800, 601, Fit::Scale, "full"),
            (u32::MAX, u32::MAX, Fit::Scale, "full"),
        ];
        for (width, height, fit, label) in cases {
            assert_eq!(Size::for_wanted(wanted(width, height, fit)).label(), label, "{width}x{height}");
        }
        let animated = Size::for_wanted(Wanted { animated: true, ..wanted(32, 32, Fit::Crop) });
        assert_eq!(
            (animated.label().as_str(), animated.still().label().as_str()),
            ("crop-32x32-animated", "crop-32x32")
        );
    }

    #[test]
    fn a_picture_keeps_its_shape_or_shows_its_middle() {
        let cut = |width, height, fit, (w, h)| Size::for_wanted(wanted(width, height, fit)).of(w, h);
        assert_eq!(cut(320, 240, Fit::Scale, (640, 640)), Some(Cut { from: (640, 640), to: (240, 240) }));
        assert_eq!(cut(320, 240, Fit::Scale, (6400, 10)), Some(Cut { from: (6400, 10), to: (320, 1) }));
        assert_eq!(cut(320, 240, Fit::Scale, (320, 240)), None);
        assert_eq!(cut(96, 96, Fit::Crop, (400, 200)), Some(Cut { from: (200, 200), to: (96, 96) }));
        assert_eq!(cut(96, 96, Fit::Crop, (1000, 50)), Some(Cut { from: (96, 50), to: (96, 50) }));
        assert_eq!(cut(96, 96, Fit::Crop, (96, 40)), None);
        assert_eq!(cut(5000, 5000, Fit::Crop, (400, 200)), None);
    }

    proptest! {
        #[test]
        fn nothing_is_made_larger_or_vanishes(
            (width, height) in (1u32..2_000, 1u32..2_000),
            (w, h) in (1u32..70_000, 1u32..70_000),
            crop: bool,
        ) {
            let fit = if crop { Fit::Crop } else { Fit::Scale };
            if let Some(cut) = Size::for_wanted(wanted(width, height, fit)).of(w, h) {
                prop_assert!(1 <= cut.to.0 && cut.to.0 <= cut.from.0 && cut.from.0 <= w);
                prop_assert!(1 <= cut.to.1 && cut.to.1 <= cut.from.1 && cut.from.1 <= h);
                prop_assert!(crop || cut.to.0 <= 800 && cut.to.1 <= 600);
            }
        }
    }
}

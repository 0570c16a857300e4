//! The key parts that come with the storage: text, Matrix identifiers, numbers, positions and small wrappers.

use std::borrow::Cow;

use ruma::{
    DeviceId, EventId, MxcUri, OwnedDeviceId, OwnedEventId, OwnedMxcUri, OwnedRoomAliasId, OwnedRoomId,
    OwnedServerName, OwnedTransactionId, OwnedUserId, RoomAliasId, RoomId, ServerName, TransactionId, UserId,
    events::{GlobalAccountDataEventType, RoomAccountDataEventType, StateEventType, TimelineEventType},
};

use super::{EncodePart, Encoder, KeyPart, Position};
use crate::error::{Error, Result};

/// A key part that is text: escaped and terminated, so that no text is a prefix of another one.
pub trait TextPart: Sized {
    /// The text that stands in the key.
    fn text(&self) -> Cow<'_, str>;

    /// Reads the text back.
    fn from_text(text: &str) -> Result<Self>;
}

impl<T: TextPart> KeyPart for T {
    fn encode_part(&self, out: &mut Encoder) {
        encode_text(&self.text(), out);
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        T::from_text(&decode_text(input)?)
    }
}

/// Writes each zero byte as `00 FF` and ends with `00 00`, which sorts before every continuation.
fn encode_text(text: &str, out: &mut Encoder) {
    let mut pieces = text.as_bytes().split(|byte| *byte == 0);
    out.extend(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend(&[0, 0xFF]);
        out.extend(piece);
    }
    out.extend(&[0, 0]);
}

/// Reads what [`encode_text`] wrote; borrows unless the text holds a zero byte.
fn decode_text<'a>(input: &mut &'a [u8]) -> Result<Cow<'a, str>> {
    let bytes = *input;
    let mut unescaped: Option<Vec<u8>> = None;
    let mut start = 0;
    loop {
        let zero = bytes[start..].iter().position(|byte| *byte == 0).ok_or_else(cut_short)? + start;
        let piece = &bytes[start..zero];
        match bytes.get(zero + 1) {
            Some(0) => {
                *input = &bytes[zero + 2..];
                return match unescaped {
                    None => str::from_utf8(piece).map(Cow::Borrowed).map_err(Error::internal),
                    Some(mut text) => {
                        text.extend_from_slice(piece);
                        String::from_utf8(text).map(Cow::Owned).map_err(Error::internal)
                    }
                };
            }
            Some(0xFF) => {
                let text = unescaped.get_or_insert_default();
                text.extend_from_slice(piece);
                text.push(0);
                start = zero + 2;
            }
            _ => return Err(cut_short()),
        }
    }
}

fn cut_short() -> Error {
    Error::internal("a key ends in the middle of a part")
}

/// Takes `N` bytes off the front of `input`.
fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk::<N>().ok_or_else(cut_short)?;
    *input = rest;
    Ok(*bytes)
}

impl<const N: usize> KeyPart for [u8; N] {
    fn encode_part(&self, out: &mut Encoder) {
        out.extend(self);
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        take(input)
    }
}

impl KeyPart for u8 {
    fn encode_part(&self, out: &mut Encoder) {
        out.push(*self);
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        take(input).map(Self::from_be_bytes)
    }
}

impl KeyPart for u16 {
    fn encode_part(&self, out: &mut Encoder) {
        out.extend(&self.to_be_bytes());
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        take(input).map(Self::from_be_bytes)
    }
}

impl KeyPart for u32 {
    fn encode_part(&self, out: &mut Encoder) {
        out.extend(&self.to_be_bytes());
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        take(input).map(Self::from_be_bytes)
    }
}

impl KeyPart for u64 {
    fn encode_part(&self, out: &mut Encoder) {
        out.extend(&self.to_be_bytes());
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        take(input).map(Self::from_be_bytes)
    }
}

impl KeyPart for Position {
    fn encode_part(&self, out: &mut Encoder) {
        out.position(*self);
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        u64::decode_part(input).map(Self::from)
    }
}

impl KeyPart for bool {
    fn encode_part(&self, out: &mut Encoder) {
        out.push(u8::from(*self));
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        match u8::decode_part(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::internal(format_args!("a truth value in a key is {other}"))),
        }
    }
}

impl<P: KeyPart> KeyPart for Option<P> {
    fn encode_part(&self, out: &mut Encoder) {
        out.push(u8::from(self.is_some()));
        if let Some(part) = self {
            part.encode_part(out);
        }
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        if bool::decode_part(input)? { P::decode_part(input).map(Some) } else { Ok(None) }
    }
}

impl TextPart for String {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.to_owned())
    }
}

impl EncodePart<String> for &str {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self, out);
    }
}

impl TextPart for OwnedUserId {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Self::try_from(text).map_err(Error::internal)
    }
}

impl EncodePart<OwnedUserId> for &UserId {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedRoomId {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Self::try_from(text).map_err(Error::internal)
    }
}

impl EncodePart<OwnedRoomId> for &RoomId {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedEventId {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Self::try_from(text).map_err(Error::internal)
    }
}

impl EncodePart<OwnedEventId> for &EventId {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedRoomAliasId {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Self::try_from(text).map_err(Error::internal)
    }
}

impl EncodePart<OwnedRoomAliasId> for &RoomAliasId {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedServerName {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Self::try_from(text).map_err(Error::internal)
    }
}

impl EncodePart<OwnedServerName> for &ServerName {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedDeviceId {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

impl EncodePart<OwnedDeviceId> for &DeviceId {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedTransactionId {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

impl EncodePart<OwnedTransactionId> for &TransactionId {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for OwnedMxcUri {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_str())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

impl EncodePart<OwnedMxcUri> for &MxcUri {
    fn encode_as_part(&self, out: &mut Encoder) {
        encode_text(self.as_str(), out);
    }
}

impl TextPart for StateEventType {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

impl TextPart for TimelineEventType {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

impl TextPart for GlobalAccountDataEventType {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

impl TextPart for RoomAccountDataEventType {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.into())
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::{device_id, room_id, user_id};

    use super::*;
    use crate::storage::{EncodeKey, EncodePrefix, Key, Order};

    fn bytes<K>(key: &impl EncodePrefix<K>) -> Vec<u8> {
        let mut out = Encoder::default();
        key.encode(&mut out);
        out.into_bytes()
    }

    /// Checks that two keys sort as their encodings do and come back as they were.
    fn check<K>(one: &K, two: &K)
    where
        K: Key + Ord + std::fmt::Debug + EncodeKey<K>,
    {
        assert_eq!(bytes::<K>(one).cmp(&bytes::<K>(two)), one.cmp(two), "{one:?} {two:?}");
        for key in [one, two] {
            assert_eq!(&K::decode(&bytes::<K>(key)).unwrap(), key);
        }
    }

    /// Few different characters, so that texts share their beginnings, and all the bytes that matter to the escaping.
    fn text() -> impl Strategy<Value = String> {
        "[\0\u{1}a\u{ff}\u{10ffff}]{0,5}"
    }

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            any::<u64>().prop_map(Order::Backfilled),
            any::<u64>().prop_map(|number| Order::Live(number.into())),
        ]
    }

    proptest! {
        #[test]
        fn texts_sort_as_they_are_encoded(one in (text(),), two in (text(),)) {
            check(&one, &two);
        }

        #[test]
        fn parts_after_a_text_do_not_disturb_it(one in (text(), text(), any::<u8>()), two in (text(), text(), any::<u8>())) {
            check(&one, &two);
        }

        #[test]
        fn optional_parts_sort_absent_first(
            one in (proptest::option::of(text()), any::<bool>()),
            two in (proptest::option::of(text()), any::<bool>()),
        ) {
            check(&one, &two);
        }

        #[test]
        fn numbers_sort_by_size(
            one in (any::<u8>(), any::<u16>(), any::<u32>(), any::<u64>(), any::<[u8; 32]>()),
            two in (any::<u8>(), any::<u16>(), any::<u32>(), any::<u64>(), any::<[u8; 32]>()),
        ) {
            check(&one, &two);
            check(&(one.3, one.1), &(two.3, two.1));
            check(&(one.2, one.0), &(two.2, two.0));
        }

        #[test]
        fn orders_and_positions_sort_as_they_mean(one in (order(), any::<u64>()), two in (order(), any::<u64>())) {
            check(&one, &two);
            check(&(Position::from(one.1), one.0, text_of(one.1), false), &(Position::from(two.1), two.0, text_of(two.1), true));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(input in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(key) = <(String, Option<u16>, Order)>::decode(&input) {
                prop_assert_eq!(bytes::<(String, Option<u16>, Order)>(&key), input);
            }
        }
    }

    fn text_of(number: u64) -> String {
        format!("{}\0", number % 3)
    }

    #[test]
    fn borrowed_forms_encode_like_the_owned_ones() {
        let (user, device, room) = (user_id!("@a:example.org"), device_id!("DEVICE"), room_id!("!a:example.org"));
        type Row = (OwnedUserId, OwnedDeviceId, OwnedRoomId, String, StateEventType);
        let owned: Row =
            (user.to_owned(), device.to_owned(), room.to_owned(), "text".to_owned(), StateEventType::RoomMember);
        let borrowed = (user, &owned.1, room, "text", &owned.4);
        assert_eq!(bytes::<Row>(&borrowed), bytes::<Row>(&owned));
        assert_eq!(Row::decode(&bytes::<Row>(&owned)).unwrap(), owned);
        assert!(bytes::<Row>(&owned).starts_with(&bytes::<Row>(&(user, device))), "the first parts are a prefix");
    }
}

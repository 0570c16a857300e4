//! How values become bytes: a compact serde format, JSON, and either behind the position of the commit.

use serde::{Serialize, de::DeserializeOwned};

use super::{Encoder, Position};
use crate::error::{Error, Result};

/// A way to store values of type `V`.
///
/// A codec that writes a [`Position`] with [`Encoder::position`] gets the commit's position filled in where it was pending.
pub trait Codec<V> {
    /// Appends the encoding of `value`; an error fails the whole batch.
    fn encode(value: &V, out: &mut Encoder) -> Result<()>;

    /// Reads back what [`Codec::encode`] wrote.
    fn decode(bytes: &[u8]) -> Result<V>;
}

/// The default codec: postcard, a compact binary format without field names.
///
/// It does not describe itself, so a stored type changes only with a migration, and `serde` attributes that skip or
/// flatten fields or tag enums must not be on it.
#[derive(Clone, Copy, Debug)]
pub struct Compact;

/// JSON text, for values that clients handed in as JSON; `Box<RawValue>` is stored as it is.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// A value with the position of the commit that wrote it, in eight bytes that any codec here puts in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped<V> {
    /// When it was written; [`Position::pending`] while writing.
    pub at: Position,
    /// What was written.
    pub value: V,
}

impl<V> Stamped<V> {
    /// A value to be written at the first position of its commit.
    pub fn now(value: V) -> Self {
        Self { at: Position::pending(0), value }
    }
}

impl<V: Serialize + DeserializeOwned> Codec<V> for Compact {
    fn encode(value: &V, out: &mut Encoder) -> Result<()> {
        // Postcard drops what the value said was wrong, so the likeliest causes are named here.
        postcard::serialize_with_flavor(value, Appending(out.bytes_mut())).map_err(|error| {
            Error::internal(format_args!("{error} (a pending position, or a serde attribute that skips or flattens?)"))
        })
    }

    fn decode(bytes: &[u8]) -> Result<V> {
        postcard::from_bytes(bytes).map_err(Error::internal)
    }
}

impl<V: Serialize + DeserializeOwned> Codec<Stamped<V>> for Compact {
    fn encode(value: &Stamped<V>, out: &mut Encoder) -> Result<()> {
        encode_stamped::<V, Self>(value, out)
    }

    fn decode(bytes: &[u8]) -> Result<Stamped<V>> {
        decode_stamped::<V, Self>(bytes)
    }
}

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn encode(value: &V, out: &mut Encoder) -> Result<()> {
        serde_json::to_writer(out.bytes_mut(), value).map_err(Error::internal)
    }

    fn decode(bytes: &[u8]) -> Result<V> {
        serde_json::from_slice(bytes).map_err(Error::internal)
    }
}

impl<V: Serialize + DeserializeOwned> Codec<Stamped<V>> for Json {
    fn encode(value: &Stamped<V>, out: &mut Encoder) -> Result<()> {
        encode_stamped::<V, Self>(value, out)
    }

    fn decode(bytes: &[u8]) -> Result<Stamped<V>> {
        decode_stamped::<V, Self>(bytes)
    }
}

fn encode_stamped<V, C: Codec<V>>(stamped: &Stamped<V>, out: &mut Encoder) -> Result<()> {
    out.position(stamped.at);
    C::encode(&stamped.value, out)
}

fn decode_stamped<V, C: Codec<V>>(bytes: &[u8]) -> Result<Stamped<V>> {
    let (at, value) =
        bytes.split_first_chunk().ok_or_else(|| Error::internal("a stamped value is shorter than its position"))?;
    Ok(Stamped { at: u64::from_be_bytes(*at).into(), value: C::decode(value)? })
}

/// Lets postcard append to a vector without an intermediate copy.
struct Appending<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appending<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

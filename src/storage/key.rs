//! Typed keys: tuples of one to five parts whose encoding sorts exactly as the tuples do.
//!
//! A table names owned types, such as `(OwnedRoomId, Position)`; whoever reads or writes may pass borrowed ones, such as
//! `(&RoomId, Position)`. The first parts of a key, as a shorter tuple, are a prefix of it.

use super::Encoder;
use crate::error::{Error, Result};

/// One part of a key, in an encoding that keeps the order of its values and is no prefix of another value's.
pub trait KeyPart: Sized {
    /// Appends the encoding of this part.
    fn encode_part(&self, out: &mut Encoder);

    /// Takes one part off the front of `input`.
    fn decode_part(input: &mut &[u8]) -> Result<Self>;
}

/// Something that encodes as the key part `P`: the part itself, a reference to it, or its borrowed form.
pub trait EncodePart<P> {
    /// Appends the encoding of the part.
    fn encode_as_part(&self, out: &mut Encoder);
}

impl<P: KeyPart> EncodePart<P> for P {
    fn encode_as_part(&self, out: &mut Encoder) {
        self.encode_part(out);
    }
}

impl<P: KeyPart> EncodePart<P> for &P {
    fn encode_as_part(&self, out: &mut Encoder) {
        self.encode_part(out);
    }
}

/// A whole key: a tuple of one to five parts.
pub trait Key: Sized {
    /// The first part.
    type A: KeyPart;
    /// The second part, or [`Absent`].
    type B: KeyPart;
    /// The third part, or [`Absent`].
    type C: KeyPart;
    /// The fourth part, or [`Absent`].
    type D: KeyPart;
    /// The fifth part, or [`Absent`].
    type E: KeyPart;

    /// Takes the parts off the front of `input`.
    fn decode_parts(input: &mut &[u8]) -> Result<Self>;

    /// Reads a whole key and refuses bytes that follow it.
    fn decode(mut input: &[u8]) -> Result<Self> {
        let key = Self::decode_parts(&mut input)?;
        if input.is_empty() { Ok(key) } else { Err(Error::internal("a key is longer than its type")) }
    }
}

/// Something that encodes as the first parts of a key `K`.
pub trait EncodePrefix<K> {
    /// The part of `K` that follows the prefix, or [`Absent`].
    type Next: KeyPart;

    /// Appends the encoding of the parts.
    fn encode(&self, out: &mut Encoder);
}

/// Something that encodes as a whole key `K`.
pub trait EncodeKey<K>: EncodePrefix<K> {}

impl<K, P: EncodePrefix<K>> EncodePrefix<K> for &P {
    type Next = P::Next;

    fn encode(&self, out: &mut Encoder) {
        (**self).encode(out);
    }
}

impl<K, P: EncodeKey<K>> EncodeKey<K> for &P {}

/// The part after the last one; it has no values, so nothing can be written in its place.
#[derive(Clone, Copy, Debug)]
pub enum Absent {}

impl KeyPart for Absent {
    fn encode_part(&self, _: &mut Encoder) {
        match *self {}
    }

    fn decode_part(_: &mut &[u8]) -> Result<Self> {
        Err(Error::internal("a key has fewer parts than were read"))
    }
}

impl<A: KeyPart> Key for (A,) {
    type A = A;
    type B = Absent;
    type C = Absent;
    type D = Absent;
    type E = Absent;

    fn decode_parts(input: &mut &[u8]) -> Result<Self> {
        Ok((A::decode_part(input)?,))
    }
}

impl<A: KeyPart, B: KeyPart> Key for (A, B) {
    type A = A;
    type B = B;
    type C = Absent;
    type D = Absent;
    type E = Absent;

    fn decode_parts(input: &mut &[u8]) -> Result<Self> {
        Ok((A::decode_part(input)?, B::decode_part(input)?))
    }
}

impl<A: KeyPart, B: KeyPart, C: KeyPart> Key for (A, B, C) {
    type A = A;
    type B = B;
    type C = C;
    type D = Absent;
    type E = Absent;

    fn decode_parts(input: &mut &[u8]) -> Result<Self> {
        Ok((A::decode_part(input)?, B::decode_part(input)?, C::decode_part(input)?))
    }
}

impl<A: KeyPart, B: KeyPart, C: KeyPart, D: KeyPart> Key for (A, B, C, D) {
    type A = A;
    type B = B;
    type C = C;
    type D = D;
    type E = Absent;

    fn decode_parts(input: &mut &[u8]) -> Result<Self> {
        Ok((A::decode_part(input)?, B::decode_part(input)?, C::decode_part(input)?, D::decode_part(input)?))
    }
}

impl<A: KeyPart, B: KeyPart, C: KeyPart, D: KeyPart, E: KeyPart> Key for (A, B, C, D, E) {
    type A = A;
    type B = B;
    type C = C;
    type D = D;
    type E = E;

    fn decode_parts(input: &mut &[u8]) -> Result<Self> {
        let (a, b, c, d) = <(A, B, C, D)>::decode_parts(input)?;
        Ok((a, b, c, d, E::decode_part(input)?))
    }
}

impl<K: Key, A: EncodePart<K::A>> EncodePrefix<K> for (A,) {
    type Next = K::B;

    fn encode(&self, out: &mut Encoder) {
        self.0.encode_as_part(out);
    }
}

impl<K: Key, A: EncodePart<K::A>, B: EncodePart<K::B>> EncodePrefix<K> for (A, B) {
    type Next = K::C;

    fn encode(&self, out: &mut Encoder) {
        self.0.encode_as_part(out);
        self.1.encode_as_part(out);
    }
}

impl<K, A, B, C> EncodePrefix<K> for (A, B, C)
where
    K: Key,
    A: EncodePart<K::A>,
    B: EncodePart<K::B>,
    C: EncodePart<K::C>,
{
    type Next = K::D;

    fn encode(&self, out: &mut Encoder) {
        self.0.encode_as_part(out);
        self.1.encode_as_part(out);
        self.2.encode_as_part(out);
    }
}

impl<K, A, B, C, D> EncodePrefix<K> for (A, B, C, D)
where
    K: Key,
    A: EncodePart<K::A>,
    B: EncodePart<K::B>,
    C: EncodePart<K::C>,
    D: EncodePart<K::D>,
{
    type Next = K::E;

    fn encode(&self, out: &mut Encoder) {
        self.0.encode_as_part(out);
        self.1.encode_as_part(out);
        self.2.encode_as_part(out);
        self.3.encode_as_part(out);
    }
}

impl<K, A, B, C, D, E> EncodePrefix<K> for (A, B, C, D, E)
where
    K: Key,
    A: EncodePart<K::A>,
    B: EncodePart<K::B>,
    C: EncodePart<K::C>,
    D: EncodePart<K::D>,
    E: EncodePart<K::E>,
{
    type Next = Absent;

    fn encode(&self, out: &mut Encoder) {
        self.0.encode_as_part(out);
        self.1.encode_as_part(out);
        self.2.encode_as_part(out);
        self.3.encode_as_part(out);
        self.4.encode_as_part(out);
    }
}

impl<A: KeyPart, X: EncodePart<A>> EncodeKey<(A,)> for (X,) {}

impl<A: KeyPart, B: KeyPart, X: EncodePart<A>, Y: EncodePart<B>> EncodeKey<(A, B)> for (X, Y) {}

impl<A, B, C, X, Y, Z> EncodeKey<(A, B, C)> for (X, Y, Z)
where
    (A, B, C): Key,
    Self: EncodePrefix<(A, B, C)>,
{
}

impl<A, B, C, D, W, X, Y, Z> EncodeKey<(A, B, C, D)> for (W, X, Y, Z)
where
    (A, B, C, D): Key,
    Self: EncodePrefix<(A, B, C, D)>,
{
}

impl<A, B, C, D, E, V, W, X, Y, Z> EncodeKey<(A, B, C, D, E)> for (V, W, X, Y, Z)
where
    (A, B, C, D, E): Key,
    Self: EncodePrefix<(A, B, C, D, E)>,
{
}

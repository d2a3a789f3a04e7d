//! Protocol buffers, as much of them as a profile needs: <https://protobuf.dev/programming-guides/encoding/>.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A number; 0 is what is meant where there is none, and not written.
    pub(super) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    /// Numbers, packed.
    pub(super) fn numbers(&mut self, field: u32, values: impl Iterator<Item = u64>) -> &mut Self {
        let mut packed = Self::default();
        values.for_each(|value| packed.varint(value));
        self.bytes(field, &packed.0)
    }

    /// A message inside.
    pub(super) fn message(&mut self, field: u32, message: &Self) -> &mut Self {
        self.bytes(field, &message.0)
    }

    /// Bytes or text. An empty one is written: an element of a list must not get lost.
    pub(super) fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// What is written so far.
    pub(super) fn written(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A message, text, or packed numbers.
    Bytes(&'a [u8]),
}

/// Goes through the fields of a message. An error is the last that it yields.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// This is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no profile")]
pub(super) struct Malformed;

impl<'a> Fields<'a> {
    /// Numbers, packed.
    pub(super) fn packed(bytes: &'a [u8]) -> Result<Vec<u64>, Malformed> {
        let mut rest = Self(bytes);
        let mut numbers = Vec::new();
        while !rest.0.is_empty() {
            numbers.push(rest.varint()?);
        }
        Ok(numbers)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            // A profile has no field of another kind.
            _ => return Err(Malformed),
        };
        Ok((key >> 3, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_as_the_encoding_guide_has_them() {
        let mut message = Message::default();
        // The guide's own examples: 150 in field 1, "testing" in field 2, 3, 270 and 86942 packed in field 6.
        message.number(1, 150).number(9, 0).bytes(2, b"testing").numbers(6, [3, 270, 86_942].into_iter());
        let expected =
            [&[0x08, 0x96, 0x01, 0x12, 0x07][..], b"testing", &[0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]]
                .concat();
        assert_eq!(message.written(), expected);
        let fields: Vec<_> = Fields(&expected).collect::<Result<_, _>>().unwrap();
        assert_eq!(fields[..2], [(1, Value::Number(150)), (2, Value::Bytes(b"testing"))]);
        let (6, Value::Bytes(packed)) = fields[2] else { panic!("{fields:?}") };
        assert_eq!(Fields::packed(packed).unwrap(), [3, 270, 86_942]);
    }

    #[test]
    fn negative_numbers_survive_and_torn_bytes_are_refused() {
        let mut message = Message::default();
        message.number(1, (-5_i64).cast_unsigned());
        let (_, value) = Fields(message.written()).next().unwrap().unwrap();
        assert_eq!(value, Value::Number((-5_i64).cast_unsigned()));
        for torn in [&[0x08][..], &[0x08, 0x80], &[0x12, 0x05, 1], &[0x0d, 0, 0, 0, 0], &[0xff; 11]] {
            assert_eq!(Fields(torn).last(), Some(Err(Malformed)), "{torn:?}");
        }
    }
}

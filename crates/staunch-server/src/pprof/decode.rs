//! From bytes to a profile: one of ours, read back.

use std::collections::HashMap;
use std::io::{self, Read};
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::GzDecoder;

use super::profile::{Line, Mapping, Profile};
use super::wire::{Fields, Malformed, Value};

/// A profile is not larger than this once it is unpacked, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// What messages say, before their references are followed.
#[derive(Default)]
struct Parts<'a> {
    samples: Vec<(Vec<u64>, Vec<u64>)>,
    mapping: Option<HashMap<u64, u64>>,
    locations: HashMap<u64, Location>,
    functions: HashMap<u64, (u64, u64)>,
    texts: Vec<&'a [u8]>,
    numbers: HashMap<u64, u64>,
}

#[derive(Default)]
struct Location {
    address: u64,
    /// Function and line.
    lines: Vec<(u64, u64)>,
}

impl Profile {
    /// Reads a profile that [`Profile::encode`] wrote.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`]: it is something else, or larger than 64 MiB.
    pub fn decode(gzipped: &[u8]) -> io::Result<Self> {
        let mut bytes = Vec::new();
        GzDecoder::new(gzipped).take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the profile is too large"));
        }
        let profile = parts(&bytes).and_then(|parts| parts.join());
        profile.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))
    }
}

fn parts(bytes: &[u8]) -> Result<Parts<'_>, Malformed> {
    let mut parts = Parts::default();
    for field in Fields(bytes) {
        match field? {
            (2, Value::Bytes(sample)) => parts.samples.push(sample_of(sample)?),
            (3, Value::Bytes(mapping)) => parts.mapping = Some(numbers_of(mapping)?),
            (4, Value::Bytes(location)) => {
                let (id, location) = location_of(location)?;
                parts.locations.insert(id, location);
            }
            (5, Value::Bytes(function)) => {
                let numbers = numbers_of(function)?;
                let number = |field| numbers.get(&field).copied().unwrap_or(0);
                parts.functions.insert(number(1), (number(2), number(4)));
            }
            (6, Value::Bytes(text)) => parts.texts.push(text),
            (field, Value::Number(number)) => {
                parts.numbers.insert(field, number);
            }
            _ => {}
        }
    }
    Ok(parts)
}

fn sample_of(bytes: &[u8]) -> Result<(Vec<u64>, Vec<u64>), Malformed> {
    let (mut stack, mut values) = (Vec::new(), Vec::new());
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(packed)) => stack = Fields::packed(packed)?,
            (2, Value::Bytes(packed)) => values = Fields::packed(packed)?,
            _ => {}
        }
    }
    Ok((stack, values))
}

fn location_of(bytes: &[u8]) -> Result<(u64, Location), Malformed> {
    let (mut id, mut location) = (0, Location::default());
    for field in Fields(bytes) {
        match field? {
            (1, Value::Number(number)) => id = number,
            (3, Value::Number(address)) => location.address = address,
            (4, Value::Bytes(line)) => {
                let numbers = numbers_of(line)?;
                let number = |field| numbers.get(&field).copied().unwrap_or(0);
                location.lines.push((number(1), number(2)));
            }
            _ => {}
        }
    }
    Ok((id, location))
}

fn numbers_of(bytes: &[u8]) -> Result<HashMap<u64, u64>, Malformed> {
    let mut numbers = HashMap::new();
    for field in Fields(bytes) {
        if let (field, Value::Number(number)) = field? {
            numbers.insert(field, number);
        }
    }
    Ok(numbers)
}

impl Parts<'_> {
    fn join(&self) -> Result<Profile, Malformed> {
        let number = |field| self.numbers.get(&field).copied().unwrap_or(0);
        let mut profile = Profile::new(number(12), UNIX_EPOCH + Duration::from_nanos(number(9)));
        profile.duration = Duration::from_nanos(number(10));
        if let Some(mapping) = &self.mapping {
            let number = |field| mapping.get(&field).copied().unwrap_or(0);
            let file = self.text(number(5))?;
            profile.mapping = Some(Mapping { start: number(2), limit: number(3), offset: number(4), file });
        }
        let mut lines = HashMap::new();
        for location in self.locations.values() {
            lines.insert(location.address, self.lines(location)?);
        }
        for (stack, values) in &self.samples {
            let [objects, bytes] = values[..] else { return Err(Malformed) };
            let stack = stack.iter().map(|id| self.locations.get(id).map(|location| location.address));
            let stack = stack.collect::<Option<Vec<u64>>>().ok_or(Malformed)?;
            let named = |address| lines.get(&address).cloned().unwrap_or_default();
            profile.add(&stack, objects.cast_signed(), bytes.cast_signed(), named);
        }
        Ok(profile)
    }

    fn lines(&self, location: &Location) -> Result<Vec<Line>, Malformed> {
        let lines = location.lines.iter().map(|(function, line)| {
            let (name, file) = self.functions.get(function).ok_or(Malformed)?;
            Ok(Line { function: self.text(*name)?, file: self.text(*file)?, line: *line })
        });
        lines.collect()
    }

    fn text(&self, place: u64) -> Result<String, Malformed> {
        let text = usize::try_from(place).ok().and_then(|place| self.texts.get(place)).ok_or(Malformed)?;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| Malformed)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn line(function: &str, line: u64) -> Line {
        Line { function: function.to_owned(), file: format!("{function}.rs"), line }
    }

    fn sample() -> Profile {
        let mut profile = Profile::new(524_288, UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123));
        let file = "/usr/bin/staunch".to_owned();
        profile.mapping = Some(Mapping { start: 0x1000, limit: 0x2000, offset: 7, file });
        let lines = |address: u64| match address {
            0x1001 => vec![line("inlined", 3), line("outer", 300)],
            0x1002 => vec![line("main", 1)],
            _ => Vec::new(),
        };
        profile.add(&[0x1001, 0x1002], 3, 4_096, lines);
        profile.add(&[0x9999, 0x1002], -1, -64, lines);
        profile.add(&[0x1001, 0x1002], 1, 4, lines);
        profile
    }

    #[test]
    fn what_is_written_is_read_back() {
        let profile = sample();
        assert_eq!(profile.samples().len(), 2, "equal stacks are one");
        assert_eq!(Profile::decode(&profile.encode().unwrap()).unwrap(), profile);
        let empty = Profile::default();
        assert_eq!(Profile::decode(&empty.encode().unwrap()).unwrap(), empty);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        let whole = sample().encode().unwrap();
        for bad in [&b""[..], b"text", &whole[..whole.len() / 2]] {
            assert!(Profile::decode(bad).is_err(), "{bad:?}");
        }
    }
}

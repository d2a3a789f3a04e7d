//! From a profile to the bytes of `profile.proto`, gzipped.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::profile::{Frame, Mapping, Profile, Sample};
use super::wire::Message;

/// Each text once, at its place; the first is empty, as the format wants it.
struct Texts<'a> {
    texts: Vec<&'a str>,
    places: HashMap<&'a str, u64>,
}

impl<'a> Texts<'a> {
    fn place(&mut self, text: &'a str) -> u64 {
        *self.places.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() as u64 - 1
        })
    }
}

impl Profile {
    /// The bytes, gzipped.
    ///
    /// # Errors
    /// None that is known: what is written goes into memory.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(self.message().written())?;
        gzip.finish()
    }

    fn message(&self) -> Message {
        let mut texts = Texts { texts: vec![""], places: HashMap::from([("", 0)]) };
        let mut profile = Message::default();
        for (kind, unit) in [("inuse_objects", "count"), ("inuse_space", "bytes")] {
            let kind = value_type(&mut texts, kind, unit);
            profile.message(1, &kind);
        }
        for sample in self.samples() {
            profile.message(2, &of_sample(sample));
        }
        if let Some(mapping) = &self.mapping {
            profile.message(3, &of_mapping(mapping, &mut texts));
        }
        // Functions have numbers from 1, in the order in which frames name them first.
        let mut functions: HashMap<(&str, &str), u64> = HashMap::new();
        let mut named = Vec::new();
        for (place, frame) in self.frames().iter().enumerate() {
            let mut location = of_frame(place, frame, self.mapping.as_ref());
            for line in &frame.lines {
                let next = functions.len() as u64 + 1;
                let function = *functions.entry((&line.function, &line.file)).or_insert_with(|| {
                    named.push((texts.place(&line.function), texts.place(&line.file)));
                    next
                });
                location.message(4, Message::default().number(1, function).number(2, line.line));
            }
            profile.message(4, &location);
        }
        for (place, (name, file)) in named.into_iter().enumerate() {
            let mut function = Message::default();
            function.number(1, place as u64 + 1).number(2, name).number(3, name).number(4, file);
            profile.message(5, &function);
        }
        let period = value_type(&mut texts, "space", "bytes");
        let space = texts.place("inuse_space");
        for text in &texts.texts {
            profile.bytes(6, text.as_bytes());
        }
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        profile
            .number(9, u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
            .number(10, u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX))
            .message(11, &period)
            .number(12, self.period_bytes)
            .number(14, space);
        profile
    }
}

fn value_type<'a>(texts: &mut Texts<'a>, kind: &'a str, unit: &'a str) -> Message {
    let mut message = Message::default();
    message.number(1, texts.place(kind)).number(2, texts.place(unit));
    message
}

/// Locations have numbers from 1.
fn of_sample(sample: &Sample) -> Message {
    let mut message = Message::default();
    message.numbers(1, sample.stack.iter().map(|place| *place as u64 + 1));
    message.numbers(2, [sample.objects, sample.bytes].into_iter().map(i64::cast_unsigned));
    message
}

fn of_mapping<'a>(mapping: &'a Mapping, texts: &mut Texts<'a>) -> Message {
    let mut message = Message::default();
    message.number(1, 1).number(2, mapping.start).number(3, mapping.limit).number(4, mapping.offset);
    // It has names of functions: a reader need not look for the file.
    message.number(5, texts.place(&mapping.file)).number(7, 1);
    message
}

fn of_frame(place: usize, frame: &Frame, mapping: Option<&Mapping>) -> Message {
    let inside = mapping.is_some_and(|mapping| (mapping.start..mapping.limit).contains(&frame.address));
    let mut message = Message::default();
    message.number(1, place as u64 + 1).number(2, inside.into()).number(3, frame.address);
    message
}

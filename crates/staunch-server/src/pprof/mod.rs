//! Heap profiles in the format of pprof (`profile.proto`, gzipped), which `go tool pprof`, Pyroscope and Parca read: written, read back,
//! subtracted, and told in words.
//!
//! A profile holds addresses and names of functions, and how much is live that they allocated; never what is in memory. This is written
//! by hand because the format is five small messages: a crate that brings it would bring a protobuf compiler's runtime with it.

mod decode;
mod encode;
mod grown;
mod profile;
mod site;
mod wire;

pub use grown::grown;
pub use profile::{Frame, Line, Mapping, Profile, Sample};

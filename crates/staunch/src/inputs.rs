//! Inputs of a run as the command line gives them: `-i key=value` and `--input-file`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;

/// A file of inputs is not larger than this, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the flags say; `-i` wins over the file, and a later `-i` over an earlier one.
pub(crate) fn read(flags: &[String], file: Option<&Path>) -> Result<BTreeMap<String, Value>, Failure> {
    let mut inputs = file.map(from_file).transpose()?.unwrap_or_default();
    for flag in flags {
        let Some((key, value)) = flag.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::usage(format!("`-i {flag}`: an input is written KEY=VALUE")));
        };
        inputs.insert(key.to_owned(), value.into());
    }
    Ok(inputs)
}

fn from_file(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::file("read", path, &error))?;
    let refuse = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    // JSON is YAML too (YAML 1.2 §1.2), so one reader does for both.
    let values: BTreeMap<String, Value> =
        serde_saphyr::from_slice(&bytes).map_err(|error| refuse(format!("not a mapping of inputs: {error}")))?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(flags: &[&str]) -> Result<BTreeMap<String, Value>, Failure> {
        read(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>(), None)
    }

    #[test]
    fn a_value_may_be_empty_and_hold_an_equals_sign() {
        let inputs = flags(&["a=1", "b=", "c=x=y", "a=2"]).expect("inputs");
        assert_eq!(serde_json::json!(inputs), serde_json::json!({ "a": "2", "b": "", "c": "x=y" }));
    }

    #[test]
    fn what_is_no_input_is_refused() {
        for wrong in ["a", "=1", ""] {
            assert!(flags(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_may_be_yaml_or_json_and_a_flag_wins() {
        let directory = tempfile::tempdir().expect("a directory");
        for text in ["count: 3\nname: ann\nfast: true\n", r#"{"count": 3, "name": "ann", "fast": true}"#] {
            let path = directory.path().join("inputs");
            std::fs::write(&path, text).expect("written");
            let inputs = read(&["name=bob".to_owned()], Some(&path)).expect("inputs");
            assert_eq!(serde_json::json!(inputs), serde_json::json!({ "count": 3, "fast": true, "name": "bob" }));
        }
        std::fs::write(directory.path().join("list"), "- a\n- b\n").expect("written");
        assert!(read(&[], Some(&directory.path().join("list"))).is_err());
        assert!(read(&[], Some(&directory.path().join("none"))).is_err());
    }
}

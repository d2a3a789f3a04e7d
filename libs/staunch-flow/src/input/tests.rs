#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use crate::parse::{Budgets, parse};

use super::*;

fn workflow() -> Workflow {
    let text = r"
inputs:
  text: { default: a }
  none:
  must: { required: true }
  count: { type: number, default: 3 }
  flag: { type: boolean }
  target: { type: choice, options: [s3, disk], default: disk }
steps: [{ run: x }]";
    parse(text.as_bytes(), "w", &Budgets::default()).workflow.unwrap()
}

/// The checked inputs for what was given besides `must`, or all messages as `name: message`.
fn checked(given: Value) -> Result<Value, Vec<String>> {
    let mut given: BTreeMap<String, Value> = serde_json::from_value(given).unwrap();
    given.entry("must".to_owned()).or_insert_with(|| json!("m"));
    match workflow().inputs(&given) {
        Ok(inputs) => Ok(serde_json::to_value(inputs).unwrap()),
        Err(errors) => Err(errors.into_iter().map(|error| format!("{}: {}", error.input, error.message)).collect()),
    }
}

#[test]
fn defaults_fill_in_and_strings_become_what_is_wanted() {
    let defaults = json!({"text": "a", "none": null, "must": "m", "count": 3, "flag": null, "target": "disk"});
    assert_eq!(checked(json!({})), Ok(defaults.clone()));
    assert_eq!(checked(json!({"text": null, "count": null})), Ok(defaults));
    let given = json!({"text": "", "none": "n", "must": "m", "count": "1e3", "flag": "true", "target": "s3"});
    let expected = json!({"text": "", "none": "n", "must": "m", "count": 1000, "flag": true, "target": "s3"});
    assert_eq!(checked(given), Ok(expected));
    assert_eq!(checked(json!({"count": -2.5, "flag": false})).unwrap()["count"], json!(-2.5));
    assert_eq!(checked(json!({"count": " 7 "})).unwrap()["count"], json!(7));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let said = checked(json!({
        "must": null, "cuont": 1, "count": "many", "flag": "yes", "target": "dsk", "text": 5, "none": ["a"], "zzzzzzzz": 1
    }));
    let expected = [
        "cuont: there is no such input, did you mean `count`?",
        "zzzzzzzz: there is no such input; the workflow has `text`, `none`, `must`, `count`, `flag`, `target`",
        "text: must be a text, found 5",
        "none: must be a text, found a list",
        "must: is required",
        "count: must be a finite number, found `many`",
        "flag: must be `true` or `false`, found `yes`",
        "target: is none of its options, did you mean `disk`? They are `s3`, `disk`",
    ];
    assert_eq!(said, Err(expected.map(str::to_owned).to_vec()));
}

#[test]
fn numbers_are_finite_and_plain() {
    for text in ["inf", "NaN", "1e999", "0x10", "012", "1_000", "", "1 2", "+3"] {
        assert!(checked(json!({"count": text})).is_err(), "{text}");
    }
    for (text, value) in [("0", json!(0)), ("-1", json!(-1)), ("2.50", json!(2.5)), ("1E2", json!(100))] {
        assert_eq!(checked(json!({"count": text})).unwrap()["count"], value, "{text}");
    }
}

#[test]
fn a_value_has_at_most_64_kib() {
    let text = |bytes: usize| checked(json!({"text": "x".repeat(bytes)}));
    assert!(text(65_535).is_ok() && text(65_536).is_ok());
    assert_eq!(text(65_537), Err(vec!["text: has more than 65536 bytes".to_owned()]));
    assert_eq!(checked(json!({"text": "a\0b"})), Err(vec!["text: holds a NUL character".to_owned()]));
}

#[test]
fn all_values_together_have_at_most_512_kib() {
    let names: Vec<String> = (0..9).map(|number| format!("n{number}")).collect();
    let text = format!("inputs: {{ {} }}\nsteps: [{{ run: x }}]", names.join(": , ") + ":");
    let workflow = parse(text.as_bytes(), "w", &Budgets::default()).workflow.unwrap();
    let given = |count: usize, more: usize| {
        let mut given: BTreeMap<String, Value> =
            names[..count].iter().map(|name| (name.clone(), json!("x".repeat(65_536)))).collect();
        given.insert("n8".to_owned(), json!("x".repeat(more)));
        workflow.inputs(&given).map(|_| ()).map_err(|errors| errors[0].message.clone())
    };
    assert_eq!((given(7, 65_536), given(8, 0)), (Ok(()), Ok(())));
    assert_eq!(given(8, 1), Err("all inputs together have 524289 bytes, more than 524288".to_owned()));
}

#[test]
fn a_flood_of_names_gets_a_hundred_answers() {
    let given: BTreeMap<String, Value> =
        (0..10_000).map(|number| (format!("{number}{}", "x".repeat(1_000)), json!(1))).collect();
    let errors = workflow().inputs(&given).unwrap_err();
    assert_eq!(errors.len(), 100);
    assert!(errors.iter().all(|error| error.input.len() <= 100 && error.message.len() < 1_000));
}

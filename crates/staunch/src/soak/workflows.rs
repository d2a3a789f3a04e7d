//! The workflows that the load runs.

use std::path::Path;

use crate::failure::Failure;

/// Names and texts.
pub(super) const ALL: [(&str, &str); 8] = [
    (SMALL, SMALL_TEXT),
    (OK, OK_TEXT),
    (FAIL, FAIL_TEXT),
    (KILL, KILL_TEXT),
    (TIMEOUT, TIMEOUT_TEXT),
    (SLOW, SLOW_TEXT),
    (TALK, TALK_TEXT),
    (BIG, BIG_TEXT),
];

/// One step that succeeds.
pub(super) const SMALL: &str = "soak-small";
/// Succeeds, with outputs and what it says.
pub(super) const OK: &str = "soak-ok";
/// Fails.
pub(super) const FAIL: &str = "soak-fail";
/// Its step is killed, and leaves a child in a session of its own.
pub(super) const KILL: &str = "soak-kill";
/// Its time runs out.
pub(super) const TIMEOUT: &str = "soak-timeout";
/// Goes on until it is cancelled.
pub(super) const SLOW: &str = "soak-slow";
/// Talks for a while.
pub(super) const TALK: &str = "soak-talk";
/// The step of it that talks.
pub(super) const TALK_STEP: &str = "talk";
/// Says more than a result holds, and more than a log of soak's own server.
pub(super) const BIG: &str = "soak-big";

const SMALL_TEXT: &str = r#"name: soak-small
description: Succeeds at once
steps:
  - id: say
    run: 'echo small'
"#;

const OK_TEXT: &str = r#"name: soak-ok
description: Succeeds
inputs:
  number: { type: number, default: 1 }
steps:
  - id: make
    run: |
      echo "number $NUMBER"
      echo "twice=$((NUMBER * 2))" >> "$STAUNCH_OUTPUT"
      echo kept > kept.txt
    env: { NUMBER: "${{ inputs.number }}" }
  - id: check
    run: 'test "$TWICE" -ge 0 && cat kept.txt && echo done >&2'
    env: { TWICE: "${{ steps.make.outputs.twice }}" }
"#;

const FAIL_TEXT: &str = r#"name: soak-fail
description: Fails, skips and cleans up
steps:
  - id: break
    run: 'echo "about to fail"; exit 3'
  - id: never
    run: 'true'
  - id: clean
    if: always()
    run: 'echo "cleaned up after $OUTCOME"'
    env: { OUTCOME: "${{ steps.break.outcome }}" }
"#;

const KILL_TEXT: &str = r#"name: soak-kill
description: Is killed, and leaves a child behind
steps:
  - id: die
    run: 'setsid sleep 600 & kill -9 $$'
"#;

const TIMEOUT_TEXT: &str = r#"name: soak-timeout
description: Runs out of time
timeout: 200ms
steps:
  - id: wait
    run: 'echo waiting; exec sleep 600'
"#;

const SLOW_TEXT: &str = r#"name: soak-slow
description: Goes on until it is cancelled
timeout: 10m
steps:
  - id: wait
    run: 'echo waiting; exec sleep 600'
"#;

const TALK_TEXT: &str = r#"name: soak-talk
description: Talks for a while
steps:
  - id: talk
    run: 'for i in 1 2 3 4 5 6 7 8; do echo "line $i"; sleep 0.02; done'
"#;

const BIG_TEXT: &str = r#"name: soak-big
description: Says a megabyte
steps:
  - id: shout
    run: |
      line=$(printf '%01000d' 7)
      i=0
      while [ $i -lt 1000 ]; do echo "$line"; i=$((i + 1)); done
"#;

/// Writes all of them into a directory.
///
/// # Errors
/// It cannot be made or written.
pub(super) fn write(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::file("make", directory, &error))?;
    for (name, text) in ALL {
        let path = directory.join(format!("{name}.yaml"));
        std::fs::write(&path, text).map_err(|error| Failure::file("write", &path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_right_and_called_by_their_names() {
        for (name, text) in ALL {
            let parsed = staunch_flow::parse(text.as_bytes(), "stem", &staunch_flow::Budgets::default());
            let workflow = parsed.workflow.unwrap_or_else(|| panic!("{name}: {:?}", parsed.diagnostics));
            assert_eq!(workflow.name.as_str(), name);
        }
    }
}

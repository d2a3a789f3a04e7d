//! Fault points are for tests: no build without tests has them.
//!
//! With resolver 2 and later, what a dev-dependency asks for counts only where tests are built. So it is enough that nothing but
//! dev-dependencies asks for the feature.

use serde_json::Value;

use super::check::Complaint;

/// What the points are turned on by, in each crate that passes it on.
const FEATURE: &str = "faults";

/// Dependencies of the product that turn fault points on, and features that do so along the way.
pub(super) fn check(metadata: &Value) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let mut complain = |message| {
            let path = format!("{name}/Cargo.toml");
            complaints.push(Complaint { path, line: 0, rule: "faults", message });
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let asked = dependency["features"].as_array().into_iter().flatten().any(|asked| asked == FEATURE);
            if asked && dependency["kind"].as_str() != Some("dev") {
                let other = dependency["name"].as_str().unwrap_or_default();
                complain(format!("it turns the fault points of {other} on in the product: only a dev-dependency may"));
            }
        }
        for (feature, enables) in package["features"].as_object().into_iter().flatten() {
            let turns_on = |enabled: &Value| {
                let enabled = enabled.as_str().unwrap_or_default();
                enabled == FEATURE || enabled.ends_with("/faults")
            };
            if feature != FEATURE && enables.as_array().into_iter().flatten().any(turns_on) {
                complain(format!("its feature `{feature}` turns fault points on: only `{FEATURE}` may"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn said(dependency: &Value, features: &Value) -> String {
        let package = json!({ "name": "staunch-x", "dependencies": [dependency], "features": features });
        let complaints = super::check(&json!({ "packages": [package] }));
        complaints.iter().map(|complaint| format!("{complaint}\n")).collect()
    }

    #[test]
    fn fault_points_are_turned_on_by_tests_alone() {
        let of = |kind: Value| json!({ "name": "staunch-bounded", "kind": kind, "features": ["faults"] });
        let own = json!({ "faults": ["staunch-bounded/faults"] });
        assert_eq!(said(&of(json!("dev")), &own), "");
        for kind in [json!(null), json!("build")] {
            assert!(said(&of(kind), &own).contains("fault points of staunch-bounded on in the product"));
        }
        let quiet = json!({ "name": "staunch-bounded", "kind": null, "features": [] });
        assert_eq!(said(&quiet, &own), "");
        for enables in ["faults", "staunch-bounded/faults", "staunch-bounded?/faults"] {
            assert!(said(&quiet, &json!({ "default": [enables] })).contains("its feature `default`"), "{enables}");
        }
    }
}

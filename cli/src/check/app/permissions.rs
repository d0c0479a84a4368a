//! `app.permissions` and `app.excess`: what the App requests and the installation has, against what the broker needs. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::report::Finding;

/// The permissions of an App or an installation.
pub(super) fn levels(object: &Value) -> BTreeMap<String, String> {
    let permissions = object["permissions"].as_object().into_iter().flatten();
    permissions
        .filter_map(|(name, level)| Some((name.clone(), level.as_str()?.to_owned())))
        .collect()
}

/// GitHub's levels, from the weakest.
fn rank(level: Option<&String>) -> usize {
    let order = ["read", "write", "admin"];
    level
        .and_then(|level| order.iter().position(|known| known == level))
        .map_or(0, |position| position + 1)
}

/// Whether the installation has every permission that the broker requests.
pub(super) fn check(
    wanted: &[(String, String)],
    installation: &BTreeMap<String, String>,
    app: &BTreeMap<String, String>,
    owner: &str,
) -> Finding {
    let (mut pending, mut missing) = (Vec::new(), Vec::new());
    for (name, level) in wanted {
        let (needed, text) = (rank(Some(level)), format!("{name}={level}"));
        if rank(installation.get(name)) >= needed && needed > 0 {
            continue;
        }
        if rank(app.get(name)) >= needed && needed > 0 {
            pending.push(text);
        } else if name.contains('-') && app.contains_key(&name.replace('-', "_")) {
            missing.push(format!(
                "{text} (GitHub's name is {})",
                name.replace('-', "_")
            ));
        } else {
            missing.push(text);
        }
    }
    if !missing.is_empty() {
        return Finding::fail(
            "app.permissions",
            format!("the App does not have {}", missing.join(", ")),
            "Correct the Terraform input permissions, or add the permission: the App's settings > Permissions & events",
        );
    }
    if !pending.is_empty() {
        return Finding::fail(
            "app.permissions",
            format!("{owner} has not accepted {}", pending.join(", ")),
            "Accept the App's request: the organization's settings > GitHub Apps > Configure",
        );
    }
    let texts: Vec<_> = wanted
        .iter()
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    Finding::pass(
        "app.permissions",
        format!("the installation has {}", texts.join(", ")),
    )
}

/// Whether the App has more permissions than the broker requests.
pub(super) fn excess(wanted: &[(String, String)], app: &BTreeMap<String, String>) -> Finding {
    let needed = |name: &str| {
        rank(
            wanted
                .iter()
                .find(|(wanted, _)| wanted == name)
                .map(|(_, level)| level),
        )
    };
    // Every App has metadata=read.
    let more: Vec<_> = app
        .iter()
        .filter(|(name, level)| *name != "metadata" && rank(Some(level)) > needed(name))
        .map(|(name, level)| format!("{name}={level}"))
        .collect();
    if more.is_empty() {
        return Finding::pass(
            "app.excess",
            "the App has no permission that the broker does not need",
        );
    }
    Finding::warn(
        "app.excess",
        format!("the broker does not need {}", more.join(", ")),
        "Remove them from the App (Permissions & events): anyone who has the key has all of them",
    )
}

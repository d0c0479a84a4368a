//! Policy documents of IAM, Lambda and KMS. Pure.
//!
//! Input: JSON, in which almost every element can be a text or a list. Output: statements. Conditions are not
//! evaluated: the caller must treat a statement with one as "perhaps".

use serde_json::Value;

/// One statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// `Allow` or `Deny`.
    pub is_allow: bool,
    /// Whom it concerns: `*`, ARNs, account IDs, services. Empty in an identity's policy.
    pub principals: Vec<String>,
    /// Whether it is about every principal except some: `NotPrincipal`.
    pub has_not_principal: bool,
    actions: Vec<String>,
    not_actions: Vec<String>,
    /// What it concerns.
    pub resources: Vec<String>,
    not_resources: Vec<String>,
    /// Its conditions, all of which must hold.
    pub conditions: Vec<Condition>,
}

/// A condition: it holds if the operator accepts one of the values.
#[derive(Debug, Clone)]
pub struct Condition {
    /// `StringEquals`, for example.
    pub operator: String,
    /// What it looks at.
    pub key: String,
    /// The values.
    pub values: Vec<String>,
}

/// The statements of a document. `None` if it is not a policy.
pub fn parse(document: &str) -> Option<Vec<Statement>> {
    let document: Value = serde_json::from_str(document).ok()?;
    let statements = match document.get("Statement")? {
        Value::Array(list) => list.clone(),
        single => vec![single.clone()],
    };
    Some(statements.iter().map(statement).collect())
}

impl Statement {
    /// Whether it is about this action.
    pub fn covers_action(&self, action: &str) -> bool {
        let matches = |patterns: &[String]| {
            patterns.iter().any(|pattern| {
                wildcard(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
            })
        };
        if self.not_actions.is_empty() {
            matches(&self.actions)
        } else {
            !matches(&self.not_actions)
        }
    }

    /// Whether it is about this resource.
    pub fn covers_resource(&self, resource: &str) -> bool {
        let matches =
            |patterns: &[String]| patterns.iter().any(|pattern| wildcard(pattern, resource));
        if self.not_resources.is_empty() {
            matches(&self.resources)
        } else {
            !matches(&self.not_resources)
        }
    }

    /// Whether it applies only under conditions.
    pub fn is_conditional(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The keys of its conditions.
    pub fn condition_keys(&self) -> String {
        let keys: Vec<_> = self
            .conditions
            .iter()
            .map(|condition| condition.key.as_str())
            .collect();
        keys.join(", ")
    }
}

fn statement(value: &Value) -> Statement {
    let principals = match value.get("Principal") {
        Some(Value::Object(kinds)) => kinds.values().flat_map(texts).collect(),
        Some(other) => texts(other),
        None => Vec::new(),
    };
    let list = |name: &str| value.get(name).map(texts).unwrap_or_default();
    let operators = value.get("Condition").and_then(Value::as_object);
    let conditions = operators.into_iter().flatten();
    let conditions = conditions.flat_map(|(operator, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(|(key, values)| Condition {
            operator: operator.clone(),
            key: key.clone(),
            values: texts(values),
        })
    });
    Statement {
        is_allow: value["Effect"] == "Allow",
        principals,
        has_not_principal: value.get("NotPrincipal").is_some(),
        actions: list("Action"),
        not_actions: list("NotAction"),
        resources: list("Resource"),
        not_resources: list("NotResource"),
        conditions: conditions.collect(),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// IAM's wildcards: `*` for any characters, `?` for one.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                // The last star takes one character more.
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_those_of_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("lambda:*", "lambda:invokefunction", true),
            ("lambda:Invoke?unction", "lambda:InvokeFunction", true),
            ("lambda:Get*", "lambda:InvokeFunction", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b", "abX", false),
            ("", "a", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn texts_and_lists_are_read_alike() {
        let document = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":["a","b"],"Service":"c"},"Action":"lambda:*","Resource":"*",
            "Condition":{"StringEquals":{"aws:PrincipalOrgID":"o"}}}}"#;
        let statements = parse(document).unwrap();
        let [statement] = statements.as_slice() else {
            unreachable!()
        };
        assert_eq!(statement.principals, ["a", "b", "c"]);
        assert!(statement.is_allow && statement.is_conditional());
        assert!(statement.covers_action("lambda:InvokeFunction") && statement.covers_resource("x"));
        let except =
            parse(r#"{"Statement":[{"Effect":"Allow","NotAction":"iam:*","NotResource":"x"}]}"#)
                .unwrap();
        assert!(except[0].covers_action("kms:Sign") && !except[0].covers_action("iam:PassRole"));
        assert!(except[0].covers_resource("y") && !except[0].covers_resource("x"));
        assert!(parse("{}").is_none() && parse("x").is_none());
    }
}

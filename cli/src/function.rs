//! The name of the Lambda function, as the user gives it.
//!
//! Input: `NAME` or an ARN, with an optional `:QUALIFIER`. Output: the parts that an `Invoke` needs.

/// The function that is invoked if the user names none.
pub const DEFAULT: &str = "github-token-broker";

/// A Lambda function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The name, or the ARN without its qualifier.
    pub name: String,
    /// A version or an alias.
    pub qualifier: Option<String>,
    /// The region in the ARN.
    pub region: Option<String>,
}

impl Function {
    /// Parses what Lambda accepts as `FunctionName`: a name, an ARN, or `ACCOUNT:function:NAME`.
    ///
    /// # Errors
    /// The text is none of them. The error says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.trim().split(':').collect();
        let (name, qualifier, region) = match parts.as_slice() {
            [
                "arn",
                partition,
                "lambda",
                region,
                account,
                "function",
                name,
                rest @ ..,
            ] if !partition.is_empty() && is_region(region) && is_account(account) => {
                let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
                (arn, rest, Some((*region).to_owned()))
            }
            [account, "function", name, rest @ ..] if is_account(account) => {
                (format!("{account}:function:{name}"), rest, None)
            }
            [name, rest @ ..] if *name != "arn" => ((*name).to_owned(), rest, None),
            _ => {
                return Err(format!(
                    "{} is not the ARN of a Lambda function",
                    printable(text)
                ));
            }
        };
        let bare = name.rsplit(':').next().unwrap_or_default();
        if !is_name(bare) {
            return Err(format!(
                "{} is not the name of a Lambda function",
                printable(text)
            ));
        }
        let qualifier = match qualifier {
            [] => None,
            [qualifier] if is_qualifier(qualifier) => Some((*qualifier).to_owned()),
            _ => {
                return Err(format!(
                    "{} does not end in a version or an alias",
                    printable(text)
                ));
            }
        };
        Ok(Self {
            name,
            qualifier,
            region,
        })
    }
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.qualifier {
            Some(qualifier) => write!(f, "{}:{qualifier}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=140).contains(&text.len()) && text.chars().all(allowed)
}

fn is_qualifier(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_$.".contains(c);
    (1..=128).contains(&text.len()) && text.chars().all(allowed)
}

fn is_region(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(allowed)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}

fn printable(text: &str) -> String {
    crate::output::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:broker";

    fn parts(text: &str) -> (String, Option<String>, Option<String>) {
        let function = Function::parse(text).unwrap();
        (function.name, function.qualifier, function.region)
    }

    #[test]
    fn name_and_arn_have_an_optional_qualifier() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("broker"), ("broker".into(), None, None));
        assert_eq!(parts("broker:live"), ("broker".into(), some("live"), None));
        assert_eq!(
            parts("broker:$LATEST"),
            ("broker".into(), some("$LATEST"), None)
        );
        assert_eq!(parts(ARN), (ARN.into(), None, some("eu-west-1")));
        assert_eq!(
            parts(&format!("{ARN}:7")),
            (ARN.into(), some("7"), some("eu-west-1"))
        );
        assert_eq!(
            parts("123456789012:function:broker:live"),
            ("123456789012:function:broker".into(), some("live"), None)
        );
    }

    #[test]
    fn anything_else_is_rejected() {
        for text in [
            "",
            "a b",
            "broker:",
            "broker:a:b",
            "../broker",
            "arn:aws:lambda:eu-west-1:123456789012:function",
            "arn:aws:lambda:EU:123456789012:function:broker",
            "arn:aws:s3:::bucket",
            "bro\nker",
            "broker?x",
        ] {
            assert!(Function::parse(text).is_err(), "{text:?}");
        }
    }
}

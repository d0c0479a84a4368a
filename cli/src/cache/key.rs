//! The name of a cache entry: a hash of everything that selects the function and the AWS identity.
//!
//! Input: the settings and a lookup of the environment. Output: 64 hexadecimal digits. No file is read: that is what makes a
//! cached token fast. If the content of a profile changes, its token therefore stays until it expires or is revoked.

use std::ffi::OsString;

use aws_lc_rs::digest::{Context, SHA256};

use crate::settings::Settings;

/// Part of every hash. Another version of the client with another format gets other names.
const FORMAT: &str = "github-token-broker cache 1";

/// What the AWS SDK reads to find the function and the identity. Of the keys, only the ID: the secret stays out.
const VARIABLES: [&str; 16] = [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
];

/// The name of the entry for these settings.
pub fn of(settings: &Settings, variable: impl Fn(&str) -> Option<OsString>) -> String {
    let mut hash = Context::new(&SHA256);
    let mut add = |part: Option<&[u8]>| {
        // Absent and empty differ, and no two lists of parts have the same bytes.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(&length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    };
    add(Some(FORMAT.as_bytes()));
    let function = &settings.function;
    add(Some(function.name.as_bytes()));
    // The region in an ARN takes precedence: it is in the name already.
    for part in [
        &function.qualifier,
        &settings.region,
        &settings.profile,
        &settings.role_arn,
    ] {
        add(part.as_deref().map(str::as_bytes));
    }
    for name in VARIABLES {
        let value = variable(name).filter(|value| !value.is_empty());
        add(value.as_ref().map(|value| value.as_encoded_bytes()));
    }
    hex::encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::Parser as _;

    use super::*;
    use crate::arguments::Arguments;

    /// Options and environment.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

    fn name(options: &[&str], environment: &[(&str, &str)]) -> String {
        let words = ["github-token-broker", "token"].iter().chain(options);
        let mut arguments = Arguments::try_parse_from(words).unwrap();
        // The tests run in an environment of their own.
        if !options.contains(&"--function") {
            arguments.options.function = None;
        }
        let settings = Settings::try_from(&arguments.options).unwrap();
        let environment: BTreeMap<_, _> = environment.iter().copied().collect();
        of(&settings, |name| environment.get(name).map(OsString::from))
    }

    #[test]
    fn everything_that_selects_function_or_identity_changes_the_name() {
        let options: [&[&str]; 7] = [
            &[],
            &["--function", "other"],
            &["--function", "github-token-broker:live"],
            &["--region", "eu-west-1"],
            &["--profile", "eu-west-1"],
            &["--role-arn", "arn:aws:iam::123456789012:role/caller"],
            &[
                "--function",
                "arn:aws:lambda:eu-west-1:123456789012:function:github-token-broker",
            ],
        ];
        let mut names: BTreeSet<_> = options.iter().map(|options| name(options, &[])).collect();
        names.extend(VARIABLES.map(|variable| name(&[], &[(variable, "x")])));
        assert_eq!(names.len(), options.len() + VARIABLES.len());
    }

    #[test]
    fn nothing_else_changes_the_name() {
        let unset = name(&[], &[]);
        let same: [Case<'_>; 4] = [
            (
                &["--min-ttl", "1h", "--timeout", "9s", "--verbose", "--json"],
                &[],
            ),
            (&["--function", "github-token-broker"], &[]),
            (
                &[],
                &[
                    ("AWS_SECRET_ACCESS_KEY", "x"),
                    ("AWS_SESSION_TOKEN", "x"),
                    ("PATH", "x"),
                ],
            ),
            (&[], &[("AWS_PROFILE", "")]),
        ];
        for (options, environment) in same {
            assert_eq!(
                name(options, environment),
                unset,
                "{options:?} {environment:?}"
            );
        }
    }

    #[test]
    fn the_name_is_hexadecimal() {
        let name = name(&[], &[]);
        assert!(
            name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit()),
            "{name}"
        );
    }
}

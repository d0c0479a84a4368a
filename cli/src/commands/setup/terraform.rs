//! The root configuration that deploys the broker, as `terraform fmt` formats it.

use std::fmt::Write as _;

use super::Made;
use crate::{arguments::Setup, git::repository::Repository, settings::Settings};

pub(super) fn configuration(
    made: &Made,
    settings: &Settings,
    arguments: &Setup,
    repository: &Repository,
) -> String {
    let (owner, name) = repository.full_name().split_once('/').unwrap_or_default();
    let permissions = arguments.permissions.iter();
    let permissions: Vec<_> = permissions
        .map(|(name, level)| format!("{name} = \"{level}\""))
        .collect();
    let source = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://");
    let version = env!("CARGO_PKG_VERSION");
    let function = settings
        .function
        .name
        .rsplit(':')
        .next()
        .unwrap_or_default();
    let quoted = |text: &str| format!("\"{text}\"");
    let mut inputs = vec![
        ("function_name", quoted(function)),
        ("repository_owner", quoted(owner)),
        ("repository_name", quoted(name)),
        ("permissions", format!("{{ {} }}", permissions.join(", "))),
    ];
    if !settings.host.is_default() {
        inputs.push(("github_api_base_url", quoted(&settings.host.api())));
    }
    let mut text = format!(
        r#"# Created by `github-token-broker setup`. The App is {app}; the fingerprint of its private key is
# {fingerprint}.

terraform {{
  required_version = ">= 1.6"

  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }}
  }}
}}

provider "aws" {{
  region = "{region}"
}}

module "broker" {{
  source = "{source}//terraform?ref=v{version}"

"#,
        app = made.app.slug,
        fingerprint = made.fingerprint,
        region = made.region,
    );
    text += &attributes("  ", &inputs);
    let credentials = made.store.inputs(&made.app.client_id, made.installation_id);
    if !credentials.is_empty() {
        text += "\n";
        text += &attributes("  ", &credentials);
    }
    if let Some(paths) = made.store.parameter_paths() {
        let [client_id, installation_id, private_key] = paths.map(|path| quoted(&path));
        text += "\n  ssm_parameter_paths = {\n";
        text += &attributes(
            "    ",
            &[
                ("client_id", client_id),
                ("installation_id", installation_id),
                ("private_key", private_key),
            ],
        );
        text += "  }\n";
    }
    text + &format!(
        "\n  lambda_artifact = {{\n    release_version = \"v{version}\"\n  }}\n}}\n\noutput \"function_name\" {{\n  value = module.broker.function_name\n}}\n"
    )
}

/// Attributes whose equals signs are aligned.
fn attributes(indent: &str, attributes: &[(&str, String)]) -> String {
    let width = attributes.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (name, value) in attributes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{name:width$} = {value}");
    }
    text
}
